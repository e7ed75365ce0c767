"""From a site file's bytes to its text, or the one reason why that cannot be."""

from __future__ import annotations

from pathlib import Path as File

from hardware import plain_file

BYTES_MAX = 400_000  # D: a site file of 2 000 cards is 250 kB; anything larger is something else


class Unreadable(Exception):
    """The file cannot be read at all; `code`, `line` and `words` make the one mistake there is."""

    def __init__(self, code: str, line: int = 1, **words: object) -> None:
        super().__init__(code)
        self.code, self.line = code, line
        self.words = {name: str(word) for name, word in words.items()}


def read_text(path: File) -> str:
    """The text of a site file. Raises Unreadable."""
    try:
        content = plain_file.read(path, BYTES_MAX)
        size = max(len(content), path.stat().st_size)
    except FileNotFoundError:
        raise Unreadable("file_missing") from None
    except IsADirectoryError:
        raise Unreadable("file_is_folder") from None
    except plain_file.NotPlain:
        raise Unreadable("file_strange") from None
    except PermissionError:
        raise Unreadable("file_forbidden") from None
    except (OSError, ValueError) as error:
        raise Unreadable("file_unreadable", why=getattr(error, "strerror", None) or error) from None
    if len(content) > BYTES_MAX:
        raise Unreadable("file_too_big", size=size)
    return _decode(content)


def _decode(content: bytes) -> str:
    """UTF-8, with or without the mark that Windows editors put first."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("file_utf16")
    if b"\0" in content:
        raise Unreadable("file_zeros", content[: content.index(b"\0")].count(b"\n") + 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("file_not_utf8", content[: error.start].count(b"\n") + 1) from None
    if not text.strip():
        raise Unreadable("file_empty")
    return text.replace("\r\n", "\n")
