"""SIA DC-09 frames: written, and the answers read. Pure: the time and the pad are the caller's.

`LF CRC LLLL "id" seq Rrcvr Lpref #acct [data] _time CR`. CRC-16 (reflected 0x8005, start 0) and length go over all from
the first quotation mark up to the CR. With a key, everything after the `[` is AES-CBC with a zero start vector, in hex;
a pad of at least one block, new for every frame, stands before the data, so that equal alarms look different.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16
PAD_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"  # the standard forbids only | [ ]
_TIME = "%H:%M:%S,%m-%d-%Y"
_YEARS = range(1970, 2100)  # D: a box that has lost its clock starts in 1970
_STAMP = re.compile(r"_(\d\d:\d\d:\d\d,\d\d-\d\d-\d{4})")
_ANSWER = re.compile(r'"(\*?)(ACK|NAK|DUH)"(\d{4})?')


class Account(msgspec.Struct, frozen=True):
    """Who speaks: numbers as the centre gave them, and the key shared with it."""

    account: str
    receiver: str = ""
    line: str = "0"
    key: bytes = b""


class Answer(msgspec.Struct, frozen=True):
    """A receiver's word. `seq` is None where it named none; `at` is its clock, where it told it."""

    word: str  # ACK, NAK, DUH
    seq: int | None = None
    at: datetime | None = None
    sealed: bool = False  # it came encrypted with our key


def crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def pad_length(inner: int) -> int:
    """Letters of pad before `inner` bytes ("|" included), so that whole blocks come out and the first is all pad."""
    return BLOCK + -inner % BLOCK


def frame(who: Account, token: str, seq: int, data: str, at: datetime, pad: str = "") -> bytes:
    """One message. `at` is UTC as the receiver counts it. With a key, `pad` gives at least 32 letters to draw on."""
    stamp = f"_{at.astimezone(UTC).strftime(_TIME)}"
    star = "*" if who.key else ""
    head = f'"{star}{token}"{seq:04d}R{who.receiver or "0"}L{who.line}#{who.account}['
    tail = f"{data}]{stamp}"
    if who.key:
        tail = f"|{tail}"
        tail = _encrypt(who.key, (pad[: pad_length(len(tail))] + tail).encode("ascii")).hex().upper()
    return envelope((head + tail).encode("ascii"))


def envelope(body: bytes) -> bytes:
    return b"\n%04X%04X%s\r" % (crc16(body), len(body), body)


def answer(line: bytes, key: bytes = b"") -> Answer | None:
    """What a receiver said, or None for what cannot be trusted.

    A yes counts only whole: right CRC, right length, and encrypted where we share a key. A no may come bare, as some
    receivers send it.
    """
    start = line.find(b'"')
    body = line[start:].rstrip(b"\r\n") if start >= 0 else b""
    text = body.decode("ascii", "replace")
    found = _ANSWER.match(text)
    if found is None:
        return None
    star, word, digits = found.groups()
    inner = _decrypted(text, key) if star else ""
    if word == "ACK" and not (_whole(line, body) and (bool(inner) if key else not star)):
        return None
    return Answer(word, int(digits) if digits else None, _time(inner or text), sealed=bool(inner))


def _whole(line: bytes, body: bytes) -> bool:
    head = line.strip(b"\r\n")[:8].decode("ascii", "replace")
    return head.upper() == f"{crc16(body):04X}{len(body):04X}"


def _time(text: str) -> datetime | None:
    """Of our time only: a no is not encrypted, and a time at either end of the calendar could not be reckoned with."""
    found = _STAMP.search(text)
    if found is None:
        return None
    try:
        at = datetime.strptime(found[1], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
    return at if at.year in _YEARS else None


def _decrypted(text: str, key: bytes) -> str:
    """What stands encrypted in an answer; "" unless it is ours: whole blocks, and a time inside."""
    if not key:
        return ""
    found = re.search(r"\[[^\]]{0,8}?((?:[0-9A-Fa-f]{32})+)$", text)
    if found is None:
        return ""
    made = Cipher(algorithms.AES(key), modes.CBC(bytes(BLOCK))).decryptor()
    clear = (made.update(bytes.fromhex(found[1])) + made.finalize()).decode("ascii", "replace")
    return clear if _time(clear) is not None else ""


def _encrypt(key: bytes, clear: bytes) -> bytes:
    made = Cipher(algorithms.AES(key), modes.CBC(bytes(BLOCK))).encryptor()
    return made.update(clear) + made.finalize()
