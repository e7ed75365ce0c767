"""What stands in front of the console: as for the status page, and forms besides, from our own pages only.

A form is taken whole, small and soon, or not at all. Who is behind it is judged afterwards (`sessions`): here it is
made sure that it comes from a page of this box. A browser tells so with Origin (or Referer, or Sec-Fetch-Site); one
that tells nothing is refused.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from agent.web.guard import HEADERS, Guard, Message, Receive, Refused, Scope, Send

MAX_BODY = 16 * 1024  # D: a hand-over note and its form
BODY_S = 10.0  # D: a form that takes longer is cut off
PHOTOS = "/guard/photo/"
MAX_PHOTO = 1024 * 1024  # D: the tablet makes a picture smaller before it sends it
JPEG = b"image/jpeg"
FORM = b"application/x-www-form-urlencoded"


class Front(Guard):
    """ASGI middleware. Puts the form's bytes into `scope["form"]`."""

    methods = ("GET", "HEAD", "POST")
    # A browser tells Origin with a form only where Referer may be told too. HSTS for this host alone, one year.
    headers = (
        *(pair for pair in HEADERS if pair[0] != b"referrer-policy"),
        (b"referrer-policy", b"same-origin"),
        (b"strict-transport-security", b"max-age=31536000"),
    )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            try:
                self._check(scope)
                self._check_page(scope)
                scope["form"] = await _body(receive, _taken(scope)[0])
            except Refused as refusal:
                await self._refuse(refusal, send)
                return
        await super().__call__(scope, receive, send)

    def _check_body(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
        if scope["method"] != "POST":
            super()._check_body(scope, headers)
            return
        told = dict(headers)
        if b"transfer-encoding" in told or sum(1 for name, _ in headers if name == b"content-length") != 1:
            raise Refused(411, "a form's length must be told beforehand, once")
        length = told[b"content-length"].strip()
        most, kind = _taken(scope)
        if not length.isdigit() or int(length) > most:
            raise Refused(413, f"at most {most} bytes are taken here")
        if told.get(b"content-type", b"").split(b";")[0].strip().lower() != kind:
            raise Refused(415, f"only {kind.decode()} is taken here")

    def _check_page(self, scope: Scope) -> None:
        """A form of ours: the browser's own word for where it was filled in."""
        told = dict(scope["headers"])
        site = told.get(b"sec-fetch-site", b"same-origin")
        origin = told.get(b"origin") or told.get(b"referer", b"")
        parts = urlsplit(origin.decode("latin-1"))
        if site != b"same-origin" or parts.scheme != scope.get("scheme") or not self._ours(parts.netloc, scope):
            raise Refused(403, "this form was not filled in on a page of this box")


def _taken(scope: Scope) -> tuple[int, bytes]:
    """How many bytes of what are taken at this address."""
    return (MAX_PHOTO, JPEG) if scope["path"].startswith(PHOTOS) else (MAX_BODY, FORM)


async def _body(receive: Receive, most: int) -> bytes:
    """The whole form. Raises Refused when it is longer than told, too slow, or broken off."""
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message: Message = await receive()
                if message["type"] != "http.request":
                    raise Refused(400, "the form broke off")
                found += message.get("body", b"")
                if len(found) > most:
                    raise Refused(413, f"at most {most} bytes are taken here")
                if not message.get("more_body", False):
                    return bytes(found)
    except TimeoutError:
        raise Refused(408, f"the form took longer than {BODY_S:g} s") from None
