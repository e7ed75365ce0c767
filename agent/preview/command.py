"""`menwei preview` and `menwei explain`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from agent.core.calendar import Shift
from agent.core.policy import Policy
from agent.picture.guard import Guard
from agent.preview import day as days
from agent.preview import explain, svg
from agent.preview.words import Words
from agent.site_file import DEFAULT_SITE, load_site
from hardware.site import Site

OK, MISUSE = 0, 2


def preview(arguments: argparse.Namespace) -> int:
    """The day as a table, JSON or picture."""
    try:
        when = date.fromisoformat(arguments.date)
    except ValueError:
        return _misuse(f"“{arguments.date}” is no date: write it as 2026-09-21")
    policy, site = _policy(arguments)
    if policy is None:
        return MISUSE
    told = _told(site) if site is not None and arguments.policy is None else None
    changed = told is not None and told.day == when.isoformat()
    swapped, shifts = (told.swapped, _shifts(told)) if told is not None and changed else ("", ())
    w = Words(arguments.lang)
    seen = days.view(policy, when, w, swapped, shifts)
    if told is not None and told.version and not told.day:
        seen = replace(seen, warnings=(*seen.warnings, w.say("bad_clock")))
    if arguments.svg is not None:
        arguments.svg.write_text(svg.draw(seen, w), "utf-8")
        print(arguments.svg)
    elif arguments.json:
        print(msgspec.json.encode(seen).decode())
    else:
        print(days.table(seen, w))
    return OK


def explained(arguments: argparse.Namespace) -> int:
    """Why a card would be let through or refused: asked of the box, or of files where it is away."""
    site = _site(arguments)
    if site is None and arguments.policy is not None:
        return _misuse("name the box's site file with --config: it tells the readers")
    try:
        found = _of_the_box(arguments, site) if site is not None and arguments.policy is None else None
        found = _of_files(arguments) if found is None else found
    except explain.Misasked as error:
        return _misuse(str(error))
    if found is None or site is None:
        return MISUSE
    if arguments.json:
        print(msgspec.json.encode(found).decode())
        return OK
    from agent.web.words import Words as Catalogue

    words = Catalogue(arguments.lang, site)
    why, held = (words.why(text) if text else "" for text in (found.why, found.held))
    print(explain.told(found, Words(arguments.lang), why, held))
    return OK


def _of_the_box(arguments: argparse.Namespace, site: Site) -> explain.Answer | None:
    """What the box itself would decide; None where it does not run. Raises Misasked with what it says against it."""
    from agent.site_rules import rules_of

    at_ms = explain.moment(arguments.at, rules_of(site).utc_offset_min)
    asked = {"op": "explain", "card": arguments.card, "reader": arguments.reader, "at_ms": at_ms}
    told = _asked(site, asked)
    if told is None:
        return None
    if told.get("op") != "explain":
        raise explain.Misasked(str(told.get("why", "the box does not say")))
    return msgspec.convert(told["answer"], explain.Answer)


def _of_files(arguments: argparse.Namespace) -> explain.Answer | None:
    from agent.site_rules import rules_of

    policy, site = _policy(arguments)
    if policy is None or site is None:
        return None
    rules = rules_of(site)
    at_ms = explain.moment(arguments.at, rules.utc_offset_min)
    return explain.answer(policy, rules, arguments.card, arguments.reader, at_ms)


def _policy(arguments: argparse.Namespace) -> tuple[Policy | None, Site | None]:
    """From --policy, else what is in force on the box of --config. Tells what is wrong."""
    site = _site(arguments)
    if arguments.policy is not None:
        from agent.policy.command import load
        from agent.policy.words import told

        if not arguments.policy.exists():
            _misuse(f"{arguments.policy} is not there")
            return None, site
        policy, found = load(arguments.policy)
        for one in (told(one, arguments.lang) for one in found):
            print(f"{one.source}: {one.what}\n    → {one.cure}", file=sys.stderr)
        return policy, site
    if site is None:
        _misuse("name a site file with --config, or the school's folder or bundle with --policy")
        return None, None
    return _in_force(site), site


def _site(arguments: argparse.Namespace) -> Site | None:
    if arguments.config is None and not DEFAULT_SITE.exists():
        return None
    return load_site(arguments.config or DEFAULT_SITE)


def _in_force(site: Site) -> Policy | None:
    from agent.policy.store import PolicyRefused, PolicyStore
    from agent.site_rules import rules_of

    try:
        stored = PolicyStore.of(site, rules_of(site)).current()
    except PolicyRefused as refused:
        _misuse(f"the policy on this box cannot be used: {refused}")
        return None
    if stored is None:
        _misuse("no school policy is in force on this box; apply one with: menwei policy apply FILE")
        return None
    return stored.policy


def _told(site: Site) -> Guard | None:
    """What the box says of today, if it runs."""
    told = _asked(site, {"op": "guard"})
    if told is not None and "guard" not in told:
        print(f"menwei: the box does not tell what was changed today: {told.get('why', '')}", file=sys.stderr)
        return None
    return None if told is None else msgspec.convert(told["guard"], Guard)


def _asked(site: Site, message: dict[str, Any]) -> dict[str, Any] | None:
    """The box's answer; None where it does not run."""
    from agent.link import ControlAway, ask_once
    from hardware.places import control_socket

    try:
        return asyncio.run(ask_once(control_socket(site), message, timeout_s=2.0))
    except ControlAway:
        return None


def _shifts(told: Guard) -> tuple[Shift, ...]:
    return tuple(Shift(at, by) for at, by in told.shifts)


def _misuse(text: str) -> int:
    print(f"menwei: {text}", file=sys.stderr)
    return MISUSE


def add_preview(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--date", required=True, metavar="YYYY-MM-DD")
    verb.add_argument("--svg", type=Path, metavar="FILE", help="a picture instead of the table")
    _add_common(verb)
    verb.set_defaults(run=preview)


def add_explain(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--card", required=True)
    verb.add_argument("--reader", required=True)
    verb.add_argument("--at", default=explain.NOW, metavar="TIME", help="2026-09-21T10:15, 10:15 for today; else now")
    _add_common(verb)
    verb.set_defaults(run=explained)


def _add_common(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--config", type=Path, metavar="FILE", help="the box's site file")
    verb.add_argument("--policy", type=Path, metavar="DIR|BUNDLE", help="instead of what is in force on the box")
    verb.add_argument("--json", action="store_true")
    verb.add_argument("--lang", choices=("en", "zh_CN"), default="en")
