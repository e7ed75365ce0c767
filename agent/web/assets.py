"""The files a browser loads besides the page: read once at start, told apart by a fingerprint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

FOLDER = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    body: bytes
    media_type: str
    etag: str


def load() -> dict[str, Asset]:
    return {path.name: _asset(path) for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    media_type = _TYPES[path.suffix]
    return Asset(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:16]}"')


def fingerprint(assets: dict[str, Asset]) -> str:
    """Changes when any file does: an open page then reloads itself after an update."""
    return hashlib.sha256("".join(asset.etag for asset in assets.values()).encode()).hexdigest()[:12]


def respond(assets: dict[str, Asset], request: Request) -> Response:
    """The file that `{name}` of the path names, or that it has not changed, or that there is none."""
    asset = assets.get(request.path_params["name"])
    if asset is None:
        return PlainTextResponse("there is nothing here\n", 404)
    headers = {"etag": asset.etag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)
