"""`menwei`: the command line and the composition root. Imports stay inside the verbs: start time is a feature."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TextIO

from agent import plain
from agent.site_file import DEFAULT_SITE, load_site

OK, WRONG, MISUSE = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code. Nobody is ever shown a traceback for something they typed."""
    sys.stdout, sys.stderr = plain.screen(sys.stdout), plain.screen(sys.stderr)
    run = _chosen(list(sys.argv[1:] if argv is None else argv))
    _log_to(sys.stderr)
    try:
        return run()
    except KeyboardInterrupt:
        return OK
    except BrokenPipeError:
        return WRONG
    except OSError as error:
        print(f"menwei: {_words(error)}", file=sys.stderr)
        return MISUSE


def _log_to(stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(plain.Formatter("%(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _chosen(words: list[str]) -> Callable[[], int]:
    """Some verbs have a command line of their own; argparse would take its options for ours."""
    if words and words[0] in _OWN_LINE:
        _, run_line = _OWN_LINE[words[0]]
        return lambda: run_line(words[1:])
    arguments = _parser().parse_args(words)
    run: Callable[[argparse.Namespace], int] = arguments.run
    return lambda: run(arguments)


def _words(error: OSError) -> str:
    """An operating-system error in the words of someone at the gate."""
    place = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{place}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="menwei", description="the agent in a school's gate box")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    _add_demo(verbs)
    for role, text in _ROLES.items():
        verb = verbs.add_parser(role, help=text)
        verb.add_argument("--config", type=Path, default=DEFAULT_SITE, metavar="FILE", help="the site file")
        verb.set_defaults(run=_run_role, role=role)
    _add_check(verbs)
    _add_wiring(verbs)
    _add_status(verbs)
    _add_doctor(verbs)
    _add_muster(verbs)
    for name, (text, _) in _OWN_LINE.items():
        verbs.add_parser(name, help=text, add_help=False)
    return parser


_ROLES = {
    "run": "all roles in the foreground",
    "control": "the role that holds the hardware and the journal",
    "uplink": "the role that speaks with the district",
    "web": "the role that shows the status page",
    "camera": "the role that takes pictures",
}

Verbs = argparse._SubParsersAction  # the type argparse gives no public name


# ── roles ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _run_role(arguments: argparse.Namespace) -> int:
    site = load_site(arguments.config)
    if site is None:
        return MISUSE
    match arguments.role:
        case "run":
            from agent import supervise

            return asyncio.run(supervise.run(arguments.config))
        case "control":
            from agent.control import role as control

            return asyncio.run(control.run(site, arguments.config))
        case "uplink":
            from agent.uplink import role as uplink

            asyncio.run(_until_told(uplink.run(site)))
        case "web":
            from agent.web import role as web

            asyncio.run(_until_told(web.run(site)))
        case _:
            from agent.camera import role as camera

            return camera.run(site)
    return OK


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run a role until it ends or SIGTERM or SIGINT cancels it, so that it can take its leave."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


# ── site file ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _add_check(verbs: Verbs[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("check", help="every mistake of a site file at once")
    verb.add_argument("file", type=Path)
    verb.add_argument("--json", action="store_true")
    verb.add_argument("--lang", choices=("en", "zh_CN"), default="en")
    verb.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    from hardware import check, loader

    _, mistakes = loader.load(arguments.file)
    if arguments.json:
        print(check.to_json(mistakes, arguments.file, arguments.lang))
    else:
        print(check.render(mistakes, arguments.file, arguments.lang))
    return MISUSE if mistakes else OK


def _add_wiring(verbs: Verbs[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("wiring", help="the pin and terminal table of a site, or its drawing")
    verb.add_argument("file", type=Path)
    verb.add_argument("--svg", action="store_true", help="a drawing instead of the table")
    verb.add_argument("--lang", choices=("en", "zh_CN"), default="en")
    verb.set_defaults(run=_wiring)


def _wiring(arguments: argparse.Namespace) -> int:
    from hardware import wiring, wiring_svg

    site = load_site(arguments.file)
    if site is None:
        return MISUSE
    print(wiring_svg.draw(site, arguments.lang) if arguments.svg else wiring.render(site, arguments.lang))
    return OK


# ── looking at a running box ───────────────────────────────────────────────────────────────────────────────────────


def _add_status(verbs: Verbs[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("status", help="the gate now, measured and commanded apart")
    verb.add_argument("--config", type=Path, default=DEFAULT_SITE, metavar="FILE")
    verb.add_argument("--json", action="store_true")
    verb.set_defaults(run=_status)


def _status(arguments: argparse.Namespace) -> int:
    from agent import status

    site = load_site(arguments.config)
    if site is None:
        return MISUSE
    return asyncio.run(status.show(site, as_json=arguments.json))


def _add_doctor(verbs: Verbs[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("doctor", help="a live self-test: what is wrong, where to look, what to do")
    verb.add_argument("--config", type=Path, default=DEFAULT_SITE, metavar="FILE", help="the site file")
    verb.add_argument("--json", action="store_true")
    verb.add_argument("--lang", choices=("en", "zh_CN"), default="en")
    verb.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from agent.doctor import command

    site = load_site(arguments.config)
    if site is None:
        return WRONG  # a site file with mistakes is something wrong, and it was told
    return command.run(site, as_json=arguments.json, language=arguments.lang)


def _add_muster(verbs: Verbs[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("muster", help="who is inside, for an evacuation; --html to print")
    verb.add_argument("--config", type=Path, default=DEFAULT_SITE, metavar="FILE")
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", default="text")
    form.add_argument("--html", dest="form", action="store_const", const="html")
    verb.add_argument("--lang", choices=("en", "zh_CN"), default="en")
    verb.set_defaults(run=_muster)


def _muster(arguments: argparse.Namespace) -> int:
    from agent import muster

    site = load_site(arguments.config)
    return MISUSE if site is None else muster.run(site, form=arguments.form, language=arguments.lang)


# ── demo ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _add_demo(verbs: Verbs[argparse.ArgumentParser]) -> None:
    verb = verbs.add_parser("demo", help="the whole gate on this machine, simulated hardware and a district included")
    verb.add_argument("--headless", action="store_true", help="no pages to open; needs --scenario to do something")
    verb.add_argument("--scenario", metavar="NAME", help="play it, print its timeline, and end")
    verb.add_argument("--json", action="store_true", help="last line on stdout is one JSON object")
    verb.add_argument("--dir", type=Path, help="keep everything it makes here")
    verb.add_argument("--broker", choices=("mosquitto", "iotcore"), help="instead of what is installed")
    verb.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    from agent.demo import command

    return command.run(
        scenario=arguments.scenario,
        headless=arguments.headless,
        as_json=arguments.json,
        folder=arguments.dir,
        broker=arguments.broker,
    )


# ── verbs with a command line of their own ─────────────────────────────────────────────────────────────────────────


def _journal(words: Sequence[str]) -> int:
    from agent.journal import command

    return command.run(words)


def _policy(words: Sequence[str]) -> int:
    from agent.policy import command

    return command.run(words)


def _preview(words: Sequence[str]) -> int:
    from agent.preview import command

    parser = argparse.ArgumentParser(prog="menwei preview")
    command.add_preview(parser)
    return command.preview(parser.parse_args(words))


def _explain(words: Sequence[str]) -> int:
    from agent.preview import command

    parser = argparse.ArgumentParser(prog="menwei explain")
    command.add_explain(parser)
    return command.explained(parser.parse_args(words))


def _report(words: Sequence[str]) -> int:
    from agent.reports import command

    return command.run(words)


def _account(words: Sequence[str]) -> int:
    from agent.web.console import command

    return command.run(words)


def _drill(words: Sequence[str]) -> int:
    from agent.drills import command

    return command.run(words)


def _sim(words: Sequence[str]) -> int:
    """The simulator is never imported here: this process becomes it, so that ending the one ends the other."""
    os.execv(sys.executable, [sys.executable, "-m", "sim", *words])


_OWN_LINE: dict[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "journal": ("verify, export and prove what the journal holds", _journal),
    "policy": ("make, compare and apply the school's calendar and people", _policy),
    "preview": ("what the gate will do on a day, and why", _preview),
    "explain": ("why a card would be let through or refused", _explain),
    "report": ("the month for the five rules, as HTML, CSV and XLSX", _report),
    "account": ("who may log in at the guard console", _account),
    "drill": ("announce, run and report drills of a panic button", _drill),
    "sim": ("the hardware simulator alone: --site FILE [--http PORT]", _sim),
}
