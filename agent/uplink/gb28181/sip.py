"""SIP messages as GB/T 28181 needs them: written, and read strictly. Pure.

A message is text up to the empty line, then a body of `Content-Length` bytes (RFC 3261, 7). Text is taken byte for
byte as Latin-1, so that what must be repeated in an answer is repeated exactly, whatever charset the platform writes.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

VERSION = "SIP/2.0"
MAX_MESSAGE = 65_507  # bytes: what one UDP datagram can carry
MAX_HEADERS = 64
MAGIC = "z9hG4bK"  # begins a branch that is unique (RFC 3261, 8.1.1.7)

_COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}
_COMPACT |= {"c": "content-type", "s": "subject", "k": "supported", "e": "content-encoding"}
_NEEDED = ("via", "from", "to", "call-id", "cseq")
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_REQUEST = re.compile(r"([A-Z]{1,32}) (sips?:[\x21-\x7e]{1,512}) SIP/2\.0")
_STATUS = re.compile(r"SIP/2\.0 ([1-6]\d\d) ([^\x00-\x08\x0a-\x1f]*)")
_CSEQ = re.compile(r"(\d{1,10})[ \t]+([A-Z]{1,32})")
_VIA = re.compile(r"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*(UDP|TCP)[ \t]+[^\s;,]+[ \t]*(;[^,]*)?(?:,|$)", re.IGNORECASE)
_USER = re.compile(r"sips?:([^@:;>\s]+)@[^>\s]+")
_TAG = re.compile(r";[ \t]*tag[ \t]*=[ \t]*([^\s;,>]+)", re.IGNORECASE)
_BRANCH = re.compile(r";[ \t]*branch[ \t]*=[ \t]*([^\s;,]+)", re.IGNORECASE)

Headers: TypeAlias = tuple[tuple[str, str], ...]


class BadMessage(Exception):
    """What arrived is no SIP message that we take; the text says why, for a log."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What requests and responses share. `headers` as written, in order; `get` looks one up by its long name."""

    headers: Headers
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if long_name(key) == name]

    def get(self, name: str) -> str:
        """The first header of that (long, lower-case) name, or ""."""
        return next((value for key, value in self.headers if long_name(key) == name), "")

    @property
    def branch(self) -> str:
        """The uppermost Via's branch; "" without one."""
        via = _VIA.match(self.get("via"))
        found = _BRANCH.search(via[2] or "") if via else None
        return found[1] if found else ""

    @property
    def cseq(self) -> tuple[int, str]:
        """(number, method)."""
        found = _CSEQ.fullmatch(self.get("cseq"))
        return (int(found[1]), found[2]) if found else (-1, "")


class Request(Message, frozen=True, kw_only=True):
    """`uri` is the request's target."""

    method: str
    uri: str


class Response(Message, frozen=True, kw_only=True):
    status: int
    reason: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status <= 299


def long_name(name: str) -> str:
    name = name.lower()
    return _COMPACT.get(name, name)


def user_of(text: str) -> str:
    """The user part of the first SIP URI in a header or request line; "" without one."""
    found = _USER.search(text)
    return found[1] if found else ""


def tag_of(text: str) -> str:
    """The tag of a From or To header. Only what follows the address counts: a tag inside < > is the address's own."""
    found = _TAG.search(text[text.rfind(">") + 1 :])
    return found[1] if found else ""


# ── written ────────────────────────────────────────────────────────────────────────────────────────────────────────


def encode(message: Request | Response) -> bytes:
    """The bytes on the wire; `Content-Length` is ours to add."""
    if isinstance(message, Request):
        first = f"{message.method} {message.uri} {VERSION}"
    else:
        first = f"{VERSION} {message.status} {message.reason}"
    lines = [first, *(f"{key}: {value}" for key, value in message.headers), f"Content-Length: {len(message.body)}"]
    head = "\r\n".join(lines)
    assert head.count("\r\n") == len(lines) - 1, "no header holds a line end"
    return head.encode("latin-1") + b"\r\n\r\n" + message.body


def answer_to(request: Request, status: int, reason: str, tag: str, more: Headers = ()) -> Response:
    """A response with what RFC 3261, 8.2.6 wants repeated; `tag` is ours, for a To without one."""
    kept = [(key, value) for key, value in request.headers if long_name(key) in _NEEDED]
    tagged = [
        (key, f"{value};tag={tag}" if long_name(key) == "to" and not tag_of(value) else value) for key, value in kept
    ]
    return Response(headers=(*tagged, *more), status=status, reason=reason)


# ── read ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def decode(data: bytes) -> Request | Response:
    """One whole message. Raises BadMessage, and nothing else, for whatever does not read as one."""
    if len(data) > MAX_MESSAGE:
        raise BadMessage("too long")
    head, end, rest = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not end:
        raise BadMessage("no empty line after the headers")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = _headers(lines)
    return _checked(_message(first, headers, _body(headers, rest)))


def body_length(head: bytes) -> int:
    """`Content-Length` of a message whose headers have come, as a stream needs it. Raises BadMessage."""
    headers = _headers(head.strip(b"\r\n").decode("latin-1").split("\r\n")[1:])
    lengths = [value for key, value in headers if long_name(key) == "content-length"]
    if not lengths:
        raise BadMessage("no Content-Length on a stream")
    return _length(lengths)


def _headers(lines: list[str]) -> Headers:
    """(name, value) in order; a line that begins with a blank goes on with the one before."""
    found: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name.rstrip(" \t")):
            raise BadMessage("a header line without a name")
        found.append((name.rstrip(" \t"), value.strip(" \t")))
        if len(found) > MAX_HEADERS:
            raise BadMessage("too many headers")
    if any(ord(letter) < 32 and letter != "\t" for _, value in found for letter in value):
        raise BadMessage("a control character in a header")
    return tuple(found)


def _body(headers: Headers, rest: bytes) -> bytes:
    """What `Content-Length` says; without one, all of the datagram (RFC 3261, 18.3)."""
    lengths = [value for key, value in headers if long_name(key) == "content-length"]
    length = _length(lengths) if lengths else len(rest)
    if length > len(rest):
        raise BadMessage("the body is shorter than its Content-Length")
    return rest[:length]


def _length(values: list[str]) -> int:
    if len(set(values)) != 1 or not re.fullmatch(r"\d{1,5}", values[0], re.ASCII) or int(values[0]) > MAX_MESSAGE:
        raise BadMessage("a bad Content-Length")
    return int(values[0])


def _message(first: str, headers: Headers, body: bytes) -> Request | Response:
    if request := _REQUEST.fullmatch(first):
        return Request(headers=headers, body=body, method=request[1], uri=request[2])
    if status := _STATUS.fullmatch(first):
        return Response(headers=headers, body=body, status=int(status[1]), reason=status[2])
    raise BadMessage("neither a request nor a status line")


def _checked(message: Request | Response) -> Request | Response:
    for name in _NEEDED:
        values = message.all(name)
        if not values or not values[0] or (len(values) > 1 and name != "via"):
            raise BadMessage(f"no single {name}")
    number, method = message.cseq
    if not 0 <= number < 2**31:
        raise BadMessage("a bad CSeq")
    if isinstance(message, Request) and method != message.method:
        raise BadMessage("CSeq names another method")
    if not _VIA.match(message.get("via")):
        raise BadMessage("a bad Via")
    return message
