"""The XML inside a SIP MESSAGE (GB/T 28181, annex A): written, and read without trusting it.

What comes in has no document type and no entities of its own, a bounded size, depth and count, and one of three
charsets; anything else is a `BadXml`. Everything that goes out is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import msgspec

MAX_XML = 32_768  # D: bytes; a platform's commands are a few hundred
MAX_DEPTH = 8  # D
MAX_ELEMENTS = 512  # D
CONTENT_TYPE = "Application/MANSCDP+xml"
# GB 18030 holds all of GB 2312 and GBK, and platforms that say the one often write the other.
_CODECS: Mapping[str, str] = {"gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "utf-8": "utf-8"}
_DECLARED = re.compile(rb"\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,20})[\"']")

Inner: TypeAlias = "str | int | Sequence[Field]"
Field: TypeAlias = "tuple[str, Inner] | tuple[str, Inner, Mapping[str, str]]"


class BadXml(Exception):
    """What arrived is no command that we take; the text says why, for a log."""


class Command(msgspec.Struct, frozen=True):
    """One command: `root` is Notify, Query, Control or Response; `fields` the texts right below it."""

    root: str
    kind: str  # CmdType
    sn: int
    device: str  # DeviceID
    fields: Mapping[str, str]


def write(root: str, kind: str, sn: int, device: str, fields: Sequence[Field], charset: str) -> bytes:
    """A command in `charset` (GB2312, GB18030 or UTF-8). A letter that the charset lacks becomes a question mark."""
    all_fields: list[Field] = [("CmdType", kind), ("SN", sn), ("DeviceID", device), *fields]
    text = f'<?xml version="1.0" encoding="{charset}"?>\r\n{_element((root, all_fields))}\r\n'
    return text.encode(charset, "replace")


def _element(field: Field) -> str:
    name, inner = field[0], field[1]
    attributes = "".join(f" {key}={quoteattr(value)}" for key, value in field[2].items()) if len(field) == 3 else ""
    if isinstance(inner, str | int):
        return f"<{name}{attributes}>{escape(_clean(str(inner)))}</{name}>"
    lines = "".join(f"{_element(one)}\r\n" for one in inner)
    return f"<{name}{attributes}>\r\n{lines}</{name}>"


def _clean(text: str) -> str:
    """Without what XML cannot carry."""
    return "".join(letter if letter >= " " and letter not in "\ufffe\uffff" else " " for letter in text)


def read(data: bytes, charset: str) -> Command:
    """A command. `charset` is what the site agreed, for a text that names none. Raises BadXml and nothing else."""
    root, fields = _Reader().read(_text(data, charset))
    sn = fields.get("SN", "")
    if not re.fullmatch(r"\d{1,10}", sn, re.ASCII):
        raise BadXml("no SN")
    return Command(root, fields.get("CmdType", ""), int(sn), fields.get("DeviceID", ""), fields)


def _text(data: bytes, charset: str) -> str:
    if len(data) > MAX_XML:
        raise BadXml("too long")
    declared = _DECLARED.match(data)
    name = declared[1].decode("ascii").lower() if declared else charset.lower()
    if name not in _CODECS:
        raise BadXml(f"charset {name!r}")
    try:
        return data.decode(_CODECS[name])
    except UnicodeDecodeError:
        raise BadXml(f"not in charset {name}") from None


class _Reader:
    """Collects the texts of the elements below the root, and one level deeper under `Info` as `Info.<name>`."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._text: list[str] = []
        self._count = 0
        self._root = ""
        self._fields: dict[str, str] = {}

    def read(self, text: str) -> tuple[str, dict[str, str]]:
        parser = expat.ParserCreate("utf-8")  # whatever the text says of itself: it is decoded already
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        try:
            parser.Parse(text.encode("utf-8"), True)
        except (expat.ExpatError, UnicodeEncodeError) as error:
            raise BadXml(f"no XML: {error}") from None
        return self._root, self._fields

    @staticmethod
    def _doctype(*_: object) -> NoReturn:
        raise BadXml("a document type or entities of its own")

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._count += 1
        self._open.append(name)
        self._text.clear()
        if self._count > MAX_ELEMENTS or len(self._open) > MAX_DEPTH:
            raise BadXml("too many elements")
        self._root = self._root or name

    def _end(self, name: str) -> None:
        path = self._open[1:]
        self._open.pop()
        inside_info = len(path) == 2 and path[0] == "Info"
        if len(path) == 1 or inside_info:
            key = ".".join(path)
            if key in self._fields and not inside_info and name != "Info":
                raise BadXml(f"{name} twice")
            self._fields[key] = "".join(self._text).strip()
        self._text.clear()
