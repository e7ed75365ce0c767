"""Digest log-in as SIP uses it: RFC 2617, RFC 7616 and RFC 8760. Pure: the client nonce is the caller's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping

import msgspec

_HASHES: Mapping[str, str] = {"MD5": "md5", "SHA-256": "sha256"}
_PAIR = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))\s*(?:,|$)")
MAX_CHALLENGE = 2048


class BadChallenge(Exception):
    """A challenge that cannot be answered; the text says why."""


class Challenge(msgspec.Struct, frozen=True):
    """What a server asks for. `qop` is "auth", or "" for the old form without."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    opaque: str | None = None
    qop: str = ""
    stale: bool = False


class Login(msgspec.Struct, frozen=True):
    user: str
    password: str


def challenge(headers: list[str]) -> Challenge:
    """The strongest challenge among `WWW-Authenticate` headers that we can answer. Raises BadChallenge."""
    why = "no challenge"
    found: list[Challenge] = []
    for header in headers:
        try:
            found.append(_challenge(header))
        except BadChallenge as error:
            why = str(error)
    if not found:
        raise BadChallenge(why)
    return max(found, key=lambda one: one.algorithm != "MD5")


def _challenge(header: str) -> Challenge:
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "digest":
        raise BadChallenge(f"log-in by {scheme[:20]!r} instead of Digest")
    values = _values(rest)
    algorithm = values.get("algorithm", "MD5").upper()
    if algorithm not in _HASHES:
        raise BadChallenge(f"unknown digest algorithm {algorithm[:20]!r}")
    if "realm" not in values or not values.get("nonce"):
        raise BadChallenge("a challenge without realm or nonce")
    qops = [word.strip().lower() for word in values.get("qop", "").split(",")]
    if qops != [""] and "auth" not in qops:
        raise BadChallenge("a qop other than auth")
    qop = "auth" if "auth" in qops else ""
    stale = values.get("stale", "").lower() == "true"
    return Challenge(values["realm"], values["nonce"], algorithm, values.get("opaque"), qop, stale)


def _values(text: str) -> dict[str, str]:
    """name → value, unquoted; a header that does not read to its end, or names one thing twice, is none."""
    values: dict[str, str] = {}
    at = 0
    while at < len(text) <= MAX_CHALLENGE:
        pair = _PAIR.match(text, at)
        if pair is None or pair[1].lower() in values:
            break
        values[pair[1].lower()] = re.sub(r"\\(.)", r"\1", pair[2]) if pair[2] is not None else pair[3]
        at = pair.end()
    if at < len(text):
        raise BadChallenge("a challenge that cannot be read")
    return values


def credentials(asked: Challenge, who: Login, method: str, uri: str, count: int, cnonce: str) -> str:
    """The `Authorization` header. `count` is how often this nonce is used, from 1; `cnonce` is used with qop only."""
    fields = [
        f'username="{_quoted(who.user)}"',
        f'realm="{_quoted(asked.realm)}"',
        f'nonce="{_quoted(asked.nonce)}"',
        f'uri="{_quoted(uri)}"',
        f'response="{response(asked, who, method, uri, count, cnonce)}"',
        f"algorithm={asked.algorithm}",
    ]
    if asked.qop:
        fields += [f"qop={asked.qop}", f"nc={count:08x}", f'cnonce="{_quoted(cnonce)}"']
    if asked.opaque is not None:
        fields.append(f'opaque="{_quoted(asked.opaque)}"')
    return "Digest " + ", ".join(fields)


def response(asked: Challenge, who: Login, method: str, uri: str, count: int, cnonce: str) -> str:
    """RFC 7616, 3.4.1; without qop RFC 2617, 3.2.2.1."""
    digest = _hasher(asked.algorithm)
    secret = digest(f"{who.user}:{asked.realm}:{who.password}")
    target = digest(f"{method}:{uri}")
    if not asked.qop:
        return digest(f"{secret}:{asked.nonce}:{target}")
    return digest(f"{secret}:{asked.nonce}:{count:08x}:{cnonce}:{asked.qop}:{target}")


def _hasher(algorithm: str) -> Callable[[str], str]:
    name = _HASHES[algorithm]

    def digest(text: str) -> str:
        made = hashlib.new(name, usedforsecurity=False)
        made.update(text.encode("utf-8", "surrogatepass"))
        return made.hexdigest()

    return digest


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
