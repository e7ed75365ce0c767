"""`menwei drill start | go-ahead | stop | list | show | verify`."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.core.drill import ANNOUNCE_S, REASONS
from agent.drills.report import MOST_BYTES, BadReport, digest, opened
from agent.link import ControlAway, ControlLink
from agent.picture import Drill, decode
from agent.site_file import DEFAULT_SITE, load_site
from hardware import plain_file
from hardware.places import control_socket, storage_dir
from hardware.site import Site

OK, WRONG, MISUSE = 0, 1, 2
ACTOR = "console:drill"
CARD = "show a guard's card at the guard's reader first, and ask again within 10 s"
WHY = {
    "not_on_site": f"nobody has shown a guard's card here: {CARD}",
    "panic_latched": "a panic alarm is latched: that comes first",
    "unknown_button": "there is no such button; the site file names them",
    "reason": f"a reason is needed: {', '.join(sorted(REASONS))}",
    "no_drill": "no drill is announced or running",
    "drill_waits": f"the announcement may still be answered: {ANNOUNCE_S:g} s from its start",
}


def run(words: Sequence[str]) -> int:
    """Run one verb; returns its exit code."""
    arguments = _parser().parse_args(words)
    code: int = arguments.run(arguments)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="menwei drill", description="drills of a panic button, and their reports")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    start = verbs.add_parser("start", help=f"announce a drill and wait until somebody has heard; {CARD}")
    start.add_argument("--button", required=True, metavar="ID")
    start.add_argument("--reason", required=True, choices=sorted(REASONS))
    start.add_argument("--minutes", type=int, default=5, help="1 to 15")
    start.set_defaults(run=_start)
    ahead = verbs.add_parser("go-ahead", help=f"begin though nobody has answered; {CARD}")
    ahead.set_defaults(run=_go_ahead)
    stop = verbs.add_parser("stop", help="end the drill")
    stop.set_defaults(run=_stop)
    listing = verbs.add_parser("list", help="the reports on this box, newest last")
    listing.set_defaults(run=_list)
    show = verbs.add_parser("show", help="one report")
    show.add_argument("id")
    show.set_defaults(run=_show)
    for verb in (start, ahead, stop, listing, show):
        verb.add_argument("--config", type=Path, default=DEFAULT_SITE, metavar="FILE", help="the site file")
    verify = verbs.add_parser("verify", help="check a report's signature; needs no box")
    verify.add_argument("file", type=Path)
    verify.add_argument("--key", type=Path, required=True, metavar="F", help="the box's public key, journal.pub")
    verify.add_argument("--journal", type=Path, metavar="FILE", help="also: the journal names this very file")
    verify.set_defaults(run=_verify)
    return parser


# ── asking the box ─────────────────────────────────────────────────────────────────────────────────────────────────


def _start(arguments: argparse.Namespace) -> int:
    args = {"button": arguments.button, "minutes": str(arguments.minutes), "reason": arguments.reason}
    return _with_site(arguments, lambda site: asyncio.run(_begin(site, args)))


async def _begin(site: Site, args: dict[str, str]) -> int:
    link = ControlLink(control_socket(site))
    try:
        code = await _command(link, "drill_start", args)
        return code if code != OK else await _wait_for_an_answer(link)
    except ControlAway as error:
        return _says(str(error))
    finally:
        await link.close()


async def _wait_for_an_answer(link: ControlLink) -> int:
    print("announced; until somebody has heard of it every press is real")
    while True:
        picture = decode((await link.request({"op": "state"}))["state"])
        drill = picture.panic.drill
        if drill is None:
            return _says("the drill is over before it began")
        if drill.phase == "running":
            print(f"heard by {', '.join(heard(drill))}: presses of {drill.button} are a drill for {drill.minutes} min")
            return OK
        if drill.phase == "unanswered":
            why = "; ".join(f"{path.id}: {path.why or 'no answer'}" for path in picture.paths) or "no way up is set up"
            return _says(
                f"nobody has answered within {ANNOUNCE_S:g} s ({why}); with a guard's card: menwei drill go-ahead"
            )
        await asyncio.sleep(0.2)


def heard(drill: Drill) -> list[str]:
    """The paths on which the announcement was received."""
    return [path for path, stage in drill.stages.items() if stage not in ("queued", "sent")]


def _go_ahead(arguments: argparse.Namespace) -> int:
    return _with_site(arguments, lambda site: asyncio.run(_ask(site, "drill_go_ahead", "the drill runs, unheard")))


def _stop(arguments: argparse.Namespace) -> int:
    return _with_site(arguments, lambda site: asyncio.run(_ask(site, "drill_end", "the drill is over")))


async def _ask(site: Site, verb: str, done: str) -> int:
    link = ControlLink(control_socket(site))
    try:
        code = await _command(link, verb, {})
    except ControlAway as error:
        return _says(str(error))
    finally:
        await link.close()
    if code == OK:
        print(done)
    return code


async def _command(link: ControlLink, verb: str, args: dict[str, str]) -> int:
    ident = secrets.token_hex(8)
    ask = {"op": "command", "id": ident, "rank": "console", "actor": ACTOR, "verb": verb, "args": args}
    answer = await link.request(ask)
    if answer.get("ok") is True:
        return OK
    why = str(answer.get("why", ""))
    return _says(WHY.get(why, f"refused: {why}"))


# ── reports ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _list(arguments: argparse.Namespace) -> int:
    return _with_site(arguments, _print_list)


def _print_list(site: Site) -> int:
    code = OK
    for file in _files(site):
        try:
            told = opened(file.read_bytes(), None)
        except (OSError, BadReport) as error:
            print(f"{file.stem:12} {error}")
            code = WRONG
            continue
        print(_row(told))
    return code


def _row(told: dict[str, Any]) -> str:
    who = f"{told['button']:14} {told['reason']:14} {told['operator']:10}"
    return f"{told['id']:12} {told['announced']['at']}  {who} presses {len(told['presses'])}  {told['ended']['why']}"


def _files(site: Site) -> list[Path]:
    found = [path for path in (storage_dir(site) / "drills").glob("*.json") if _number(path) is not None]
    return sorted(found, key=lambda path: _number(path) or (0, 0))


def _number(path: Path) -> tuple[int, int] | None:
    epoch, _, seq = path.stem.partition("-")
    return (int(epoch), int(seq)) if epoch.isdecimal() and seq.isdecimal() else None


def _show(arguments: argparse.Namespace) -> int:
    return _with_site(arguments, lambda site: _print_report(site, arguments.id))


def _print_report(site: Site, ident: str) -> int:
    file = next((path for path in _files(site) if path.stem == ident), None)
    if file is None:
        return _says(f"there is no report {ident}; see menwei drill list", MISUSE)
    try:
        told = opened(file.read_bytes(), None)
    except (OSError, BadReport) as error:
        return _says(f"{file}: {error}")
    print("\n".join(lines(told)))
    return OK


def lines(told: dict[str, Any]) -> Iterator[str]:
    """A report for people."""
    announced, began, ended = told["announced"], told["began"], told["ended"]
    yield f"drill {told['id']} of {told['button']} at {told['site_box']}: {told['reason']}, by {told['operator']}"
    yield f"announced  {announced['at']}"
    yield from (f"           {_stage(stage)}" for stage in announced["stages"])
    if began is None:
        yield "began      never: every press was real"
    else:
        how = "answered" if began["answered"] else f"unanswered, on the word of {began['actor']}"
        yield f"began      {began['at']} after {began['waited_ms']} ms, {how}"
    for press in told["presses"]:
        yield f"press      {press['at']} {'drill' if press['drill'] else 'REAL'}"
        yield from (f"           {hop.removesuffix('_us'):10} {us / 1000:9.1f} ms" for hop, us in press["hops"].items())
        yield from (f"           {_stage(stage)}" for stage in press["stages"])
    yield f"ended      {ended['at']} {ended['why']}, by {ended['actor']}"
    yield f"told       {', '.join(_person(one) for one in told['told']) or 'nobody has confirmed'}"


def _person(one: dict[str, str]) -> str:
    return f"{one['by']} ({one['path']})"


def _stage(stage: dict[str, Any]) -> str:
    return f"{stage['path']:10} {stage['stage']:12} after {stage['after_ms']} ms  {stage['by']}"


def _verify(arguments: argparse.Namespace) -> int:
    from agent.journal.keys import BadKey, load_public

    try:
        data = plain_file.read(arguments.file, MOST_BYTES)
        told = opened(data, load_public(plain_file.read(arguments.key, MOST_BYTES)))
        if arguments.journal is not None:
            _check_journal(arguments.journal, told["id"], digest(data))
    except BadKey as error:
        return _says(f"{arguments.key}: {error}", MISUSE)
    except BadReport as error:
        return _says(f"{arguments.file}: {error}")
    named = ", the journal names it" if arguments.journal else ""
    print(f"drill {told['id']} of {told['button']}: the signature holds{named}")
    return OK


def _check_journal(journal: Path, ident: str, sha256: str) -> None:
    """Raises BadReport."""
    from agent.journal.errors import JOURNAL_ERRORS
    from agent.journal.reader import JournalReader

    try:
        with JournalReader(journal) as reader:
            rows = reader.records({"drill.report"}, 10_000)
    except JOURNAL_ERRORS as error:
        raise BadReport(f"the journal {journal} cannot be read: {error}") from None
    named: list[Any] = [row.data["data"] for row in rows if row.data is not None]
    if not any(data["id"] == ident and data["sha256"] == sha256 for data in named):
        raise BadReport("the journal does not name this file: another one was written, or none")


# ── common ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _with_site(arguments: argparse.Namespace, do: Any) -> int:
    site = load_site(arguments.config)
    if site is None:
        return MISUSE
    code: int = do(site)
    return code


def _says(text: str, code: int = WRONG) -> int:
    print(f"menwei: {text}", file=sys.stderr)
    return code
