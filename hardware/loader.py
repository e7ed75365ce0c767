"""Load a site file: a `Site` that every rule holds for, or every mistake in it at once."""

from __future__ import annotations

import tomllib
from pathlib import Path as File
from typing import Any

import msgspec.structs

from hardware.checks import ALL, Look, run
from hardware.mistakes import Finding, Mistake, key_of
from hardware.shape import Shape
from hardware.site import Site
from hardware.site_text import Unreadable, read_text
from hardware.terminals import Path


def load(path: File) -> tuple[Site | None, list[Mistake]]:
    """(site, []) when the file is right, else (None, its mistakes in the order of its lines). Never raises.

    `Site.folder` is the absolute folder of the file.
    """
    try:
        text = read_text(path)
    except Unreadable as error:
        return None, [Mistake(error.line, "", error.code, error.words)]
    return examine(text, path.absolute().parent)


def examine(text: str, folder: File) -> tuple[Site | None, list[Mistake]]:
    """The same for a text that is to be read as if it stood in `folder`."""
    data = _plain(text)
    if data is not None:  # the straight way: a right file needs no line numbers
        site, findings = _judge(data, set(), folder)
        if not findings:
            return site, []
    mistakes = _all_mistakes(text, folder)
    assert mistakes, "what the straight way refuses, the careful way can name"
    return None, sorted(mistakes, key=lambda mistake: mistake.line)


def _plain(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):  # ValueError: not TOML, or an endless integer
        return None


def _judge(data: dict[str, Any], broken: set[Path], folder: File) -> tuple[Site, list[Finding]]:
    shape = Shape(broken)
    site = msgspec.structs.replace(shape.site(data), folder=str(folder))
    return site, shape.findings + run(Look(site, data, broken), ALL)


def _all_mistakes(text: str, folder: File) -> list[Mistake]:
    """The careful way: past broken lines, and with a line for every finding. Imported only when it is needed."""
    from hardware.syntax import parse

    parsed = parse(text)
    _site, findings = _judge(parsed.data, parsed.broken, folder)
    slips = [Mistake(line, "", code, words) for line, code, words in parsed.slips]
    return slips + [
        Mistake(parsed.lines.of(finding.path), key_of(parsed.data, finding.path), finding.code, finding.args)
        for finding in findings
    ]
