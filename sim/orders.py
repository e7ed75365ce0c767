"""Commands that the district gives, signed as `docs/asyncapi.yaml` says, with code of its own; and bad ones on wish."""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

LIES = ("forged", "stale", "future", "replay", "wrong_box", "retained", "huge", "malformed")
VALID_S = 60.0


class Signer:
    """The district's signing key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._last = b""

    @classmethod
    def of(cls, path: Path) -> Signer:
        """The key in a PEM file, made with its public half beside it (`.pub`) where there is none. Raises OSError."""
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            path.with_suffix(".pub").write_bytes(
                key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            )
        made = load_pem_private_key(path.read_bytes(), None)
        if not isinstance(made, Ed25519PrivateKey):
            raise OSError(f"{path} holds no Ed25519 key")
        return cls(made)

    def payload(self, box: str, verb: str, args: dict[str, str], valid_s: float = VALID_S, lie: str = "") -> bytes:
        """The message for `box` ("site/box"); a `lie` makes it one that must be refused."""
        if lie == "replay" and self._last:
            return self._last
        began = time.time() + {"stale": -2 * valid_s, "future": 3600.0}.get(lie, 0.0)
        order: dict[str, Any] = {
            "id": f"{'other-school/gate-9' if lie == 'wrong_box' else box}/{secrets.token_hex(8)}",
            "verb": verb,
            "args": args | ({"note": "x" * 10_000} if lie == "huge" else {}),
            "issued_at": _stamp(began),
            "expires_at": _stamp(began + valid_s),
        }
        signature = bytearray(self._key.sign(canonical(order)))
        if lie == "forged":
            signature[7] ^= 1
        made = json.dumps(order | {"sig": base64.b64encode(signature).decode()}, ensure_ascii=False).encode()
        if not lie:
            self._last = made
        return made[:-9] if lie == "malformed" else made


def canonical(order: dict[str, Any]) -> bytes:
    """What is signed: keys sorted, no spaces, UTF-8, without `sig`."""
    rest = {name: value for name, value in order.items() if name != "sig"}
    return json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
