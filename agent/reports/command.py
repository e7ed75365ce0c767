"""`menwei report --month YYYY-MM --out DIR` and `menwei report verify FILE`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from agent.reports.job import FORMATS
from agent.site_file import DEFAULT_SITE, load_site
from hardware import plain_file

if TYPE_CHECKING:
    from agent.reports.files import Wanted
    from hardware.site import Site

OK, WRONG, MISUSE = 0, 1, 2


def run(words: Sequence[str]) -> int:
    """Make a report, or check one; returns the exit code."""
    if words[:1] == ["verify"]:
        return _verify(_verify_parser().parse_args(list(words[1:])))
    arguments = _parser().parse_args(list(words))
    formats = tuple(part for part in arguments.format.split(",") if part)
    unknown = [part for part in formats if part not in FORMATS]
    if unknown or not formats:
        return _misuse(f"“{arguments.format}” is no list of formats: choose from {', '.join(FORMATS)}")
    site = load_site(arguments.config)
    if site is None:
        return MISUSE
    return _make(site, arguments, formats)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="menwei report", description="the month for the five rules; to check one: menwei report verify FILE"
    )
    parser.add_argument("--month", required=True, metavar="YYYY-MM")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="the folder to write into")
    parser.add_argument("--config", type=Path, default=DEFAULT_SITE, metavar="FILE", help="the site file")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="a copy of the box's journal instead of its own")
    parser.add_argument("--lang", choices=("zh_CN", "en", "both"), default="both")
    parser.add_argument("--format", default=",".join(FORMATS), metavar="LIST", help="default: html,csv,xlsx")
    parser.add_argument("--template", type=Path, metavar="FILE", help="the school's own form, instead of the site's")
    parser.add_argument("--blank-persons", action="store_true", help="leave blank what is told of single persons")
    return parser


def _make(site: Site, arguments: argparse.Namespace, formats: tuple[str, ...]) -> int:
    from agent.journal.errors import Damaged, Trouble
    from agent.reports import files
    from agent.reports.make import NoRecords
    from agent.reports.month import BadMonth, parse
    from agent.reports.page import BadForm

    now_ms = round(time.time() * 1000)
    try:
        month = parse(arguments.month, ZoneInfo(site.site.timezone), now_ms)
        journal = _journal(site, arguments.journal)
        arguments.out.mkdir(parents=True, exist_ok=True)
        wanted = _wanted(site, arguments, formats)
        for path in files.write(site, journal, month, now_ms, wanted):
            print(path)
        if arguments.journal is None:
            _write_down(site, month.text, wanted)
    except (BadMonth, BadForm, NoRecords, FileNotFoundError) as error:
        return _misuse(_said(error))
    except (Damaged, Trouble) as error:
        return _misuse(f"the journal cannot be read: {error}")
    except OSError as error:
        return _misuse(f"{error.filename or arguments.out}: {error.strerror or error}")
    return OK


def _write_down(site: Site, month: str, wanted: Wanted) -> None:
    """The look is a record if the box runs, else that is said: who holds the file cannot be kept from reading it."""
    import asyncio

    from agent.link import ControlAway, ask_once
    from hardware.places import control_socket

    data = {"form": ",".join(wanted.formats), "language": ",".join(wanted.languages), "month": month}
    ask = {"op": "note", "kind": "view.report", "subject": f"report:{month}", "actor": "shell", "data": data}
    try:
        answer = asyncio.run(ask_once(control_socket(site), ask, timeout_s=2.0))
        why = "" if answer.get("ok") is True else str(answer.get("why", ""))
    except ControlAway as error:
        why = str(error)
    if why:
        print(f"menwei report: this look is not in the journal: {why}", file=sys.stderr)


def _said(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename}: there is no such file"
    return str(error)


def _wanted(site: Site, arguments: argparse.Namespace, formats: tuple[str, ...]) -> Wanted:
    from agent.reports.files import Wanted

    form = _form(site, arguments.template)
    languages = ("zh_CN", "en") if arguments.lang == "both" else (arguments.lang,)
    return Wanted(
        folder=arguments.out, languages=languages, formats=formats, form=form, names=not arguments.blank_persons
    )


def _form(site: Site, given: Path | None) -> Path | None:
    """The school's own form, if there is one."""
    from hardware.places import resolve

    return resolve(site, site.reports.template) if given is None and site.reports.template else given


def _journal(site: Site, given: Path | None) -> Path:
    """The journal file meant. Raises FileNotFoundError in field words."""
    from agent.journal.schema import FILE
    from hardware.places import storage_dir

    path = given if given is not None else storage_dir(site) / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no journal here")
    return path


def _misuse(text: str) -> int:
    print(f"menwei report: {text}", file=sys.stderr)
    return MISUSE


# ── checking ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _verify_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="menwei report verify",
        description="whether a report (HTML, XLSX, or a CSV beside one of these) says what the journal says",
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--config", type=Path, default=DEFAULT_SITE, metavar="FILE", help="the site file")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="a copy of the box's journal instead of its own")
    parser.add_argument("--key", type=Path, metavar="F", help="the box's public key, kept elsewhere")
    parser.add_argument("--template", type=Path, metavar="FILE", help="the form it was made with, if not the site's")
    return parser


def _verify(arguments: argparse.Namespace) -> int:
    site = load_site(arguments.config)
    return MISUSE if site is None else _checked(site, arguments)


def _checked(site: Site, arguments: argparse.Namespace) -> int:
    from agent.journal.errors import Damaged, Trouble
    from agent.journal.keys import BadKey, load_public
    from agent.reports.make import NoRecords
    from agent.reports.page import BadForm
    from agent.reports.verify import NotTrue, verify

    try:
        key = None if arguments.key is None else load_public(plain_file.read(arguments.key, 1 << 20))
        form = _form(site, arguments.template)
        sealed, signatures = verify(arguments.file, site, _journal(site, arguments.journal), key, form)
    except NotTrue as error:
        print(f"NOT OK: {error}")
        return WRONG
    except (Damaged, Trouble, NoRecords) as error:
        print(f"NOT OK: the journal cannot tell any more: {error}")
        return WRONG
    except (BadKey, BadForm, FileNotFoundError) as error:
        return _misuse(_said(error))
    print(f"OK: this report of {sealed.site_box} for {sealed.month} says what the journal says")
    _say_what_is_left(signatures, own_key=arguments.key is None)
    return OK


def _say_what_is_left(signatures: int, *, own_key: bool) -> None:
    if not signatures:
        print("no signature was checked: no checkpoint, or no public key at hand")
    elif own_key:
        print("signatures were checked with the key beside the journal: give --key with one kept elsewhere")
