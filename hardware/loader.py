"""Load a site file: a `Site` that every rule holds for, or every mistake in it at once."""

from __future__ import annotations

from pathlib import Path

import msgspec.structs

from hardware.checks import ALL, Look, run
from hardware.mistakes import Finding, Mistake, key_of
from hardware.shape import Shape
from hardware.site import Site
from hardware.syntax import Parsed, Unreadable, parse, read_text


def load(path: Path) -> tuple[Site | None, list[Mistake]]:
    """(site, []) when the file is right, else (None, its mistakes in the order of its lines). Never raises.

    `Site.folder` is the absolute folder of the file.
    """
    try:
        text = read_text(path)
    except Unreadable as error:
        return None, [Mistake(error.line, "", error.code, error.words)]
    return examine(text, path.absolute().parent)


def examine(text: str, folder: Path) -> tuple[Site | None, list[Mistake]]:
    """The same for a text that is to be read as if it stood in `folder`."""
    parsed = parse(text)
    shape = Shape(parsed.broken)
    site = msgspec.structs.replace(shape.site(parsed.data), folder=str(folder))
    findings = shape.findings + run(Look(site, parsed.data, shape.broken), ALL)
    mistakes = _slips(parsed) + [_told(finding, parsed) for finding in findings]
    if mistakes:
        return None, sorted(mistakes, key=lambda mistake: mistake.line)
    return site, []


def _slips(parsed: Parsed) -> list[Mistake]:
    return [Mistake(line, "", code, words) for line, code, words in parsed.slips]


def _told(finding: Finding, parsed: Parsed) -> Mistake:
    return Mistake(parsed.lines.of(finding.path), key_of(parsed.data, finding.path), finding.code, finding.args)
