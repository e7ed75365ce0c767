"""Checkpoints: C2SP tlog-checkpoint text, signed as a C2SP note.

    menwei/<site>/<box>/<epoch>
    <number of records of that epoch>
    <RFC 6962 root, base64>

    — menwei/<site>/<box>/<epoch> <base64 of 4 bytes key id and 64 bytes signature>

The key's name is the origin, as C2SP recommends; the key id is SHA-256(name, newline, 0x01, public key)[:4].
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Protocol

import msgspec

from agent.journal.keys import ED25519_TYPE, signed_by

DASH = "\u2014"
MAX_NOTE_BYTES = 65_536  # a note from outside: C2SP asks for at least 16 signatures of up to 5 kB
_ORIGIN = re.compile(r"menwei/([^\s+/]+/[^\s+/]+)/([1-9][0-9]{0,18})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class BadNote(ValueError):
    """A note that cannot be read or trusted. `args[0]` says why in field words."""


class Signer(Protocol):
    """What signs: `agent.journal.keys.BoxKey`."""

    @property
    def public(self) -> bytes: ...

    def sign(self, text: bytes, /) -> bytes: ...


class Checkpoint(msgspec.Struct, frozen=True):
    """The head of one epoch's tree."""

    site_box: str
    epoch: int
    size: int
    root: bytes

    @property
    def origin(self) -> str:
        return f"menwei/{self.site_box}/{self.epoch}"

    def text(self) -> str:
        """The three signed lines, each ended by a newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + ED25519_TYPE + public).digest()[:4]


def sign(checkpoint: Checkpoint, key: Signer) -> bytes:
    """The signed note, UTF-8."""
    text = checkpoint.text()
    signature = key_id(checkpoint.origin, key.public) + key.sign(text.encode())
    return f"{text}\n{DASH} {checkpoint.origin} {base64.b64encode(signature).decode()}\n".encode()


def parse(note: bytes) -> Checkpoint:
    """The checkpoint of a note, its signature not looked at. Raises BadNote."""
    return _split(note)[0]


def verified(note: bytes, public: bytes) -> Checkpoint:
    """The checkpoint of a note signed by `public`. Raises BadNote. Signatures by other keys are passed over."""
    checkpoint, text, signatures = _split(note)
    wanted = key_id(checkpoint.origin, public)
    mine = [value[4:] for name, value in signatures if name == checkpoint.origin and value[:4] == wanted]
    if not mine:
        raise BadNote("this checkpoint was not signed with this key")
    if not all(signed_by(public, value, text) for value in mine):
        raise BadNote("the signature under this checkpoint is wrong")
    return checkpoint


def _split(note: bytes) -> tuple[Checkpoint, bytes, list[tuple[str, bytes]]]:
    if len(note) > MAX_NOTE_BYTES:
        raise BadNote("this is far too long for a checkpoint")
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise BadNote("this is not a checkpoint: not UTF-8 text") from error
    if _CONTROL.search(whole):
        raise BadNote("this is not a checkpoint: it holds control characters")
    text, gap, tail = whole.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise BadNote("this is not a signed checkpoint: no signature line")
    signed = text + "\n"
    return _checkpoint(signed), signed.encode(), [_signature(line) for line in tail[:-1].split("\n")]


def _checkpoint(text: str) -> Checkpoint:
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or "" in lines:
        raise BadNote("this is not a checkpoint: origin, size and root are needed")
    origin = _ORIGIN.fullmatch(lines[0])
    if origin is None:
        raise BadNote(f"this checkpoint is not of a gate box: {lines[0][:80]}")
    if not _SIZE.fullmatch(lines[1]):
        raise BadNote("the size in this checkpoint is not a number")
    root = _decoded(lines[2])
    if len(root) != 32:
        raise BadNote("the root in this checkpoint is not a SHA-256 hash")
    return Checkpoint(site_box=origin[1], epoch=int(origin[2]), size=int(lines[1]), root=root)


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != DASH:
        raise BadNote("a signature line of this checkpoint is malformed")
    value = _decoded(parts[2])
    if len(value) < 5:
        raise BadNote("a signature of this checkpoint is too short")
    return parts[1], value


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("this checkpoint holds broken base64") from error
