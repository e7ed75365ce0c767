"""`menwei muster`: who is inside, for an evacuation, class by class. Pseudonyms, or names where the school's name key
is at hand."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from agent import assembly
from agent.link import ControlAway, ask_once
from agent.picture.guard import Guard, Inside
from agent.policy.names import BadNames, NameTable, load_key
from agent.preview.words import Words
from hardware.places import control_socket, resolve, storage_dir
from hardware.site import Site

OK, WRONG = 0, 1
STYLE = """body{font:14px system-ui,sans-serif}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #999;padding:4px;text-align:left}@page{size:A4;margin:15mm}tr{break-inside:avoid}
h2{font-size:15px;margin:12px 0 2px;break-after:avoid}
@media print{section{break-inside:avoid}td,th{padding:1px 4px;font-size:13px}}"""
HEAD = {"en": ("Inside at", "Name", "Since"), "zh_CN": ("在校名单，时间", "姓名", "进入时间")}
NO_CLASS = {"en": "%s, class not known", "zh_CN": "%s（班级未知）"}


class Row(msgspec.Struct, frozen=True):
    name: str
    since: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """People who are counted together: a class, or everybody of a kind."""

    kind: str
    class_: str
    people: tuple[Row, ...]


def run(site: Site, *, form: str, language: str) -> int:
    """Print the list as "text", "json" or "html"."""
    try:
        seen = msgspec.convert(asyncio.run(_ask(site)), Guard)
    except ControlAway as error:
        print(f"menwei: {error}", file=sys.stderr)
        return WRONG
    except msgspec.ValidationError:
        print("menwei: control does not tell who is inside: it is of another version", file=sys.stderr)
        return WRONG
    parts = listed(assembly.everybody(seen), name_table(site), site)
    now = datetime.now(ZoneInfo(site.site.timezone)).strftime("%Y-%m-%d %H:%M")
    if form == "json":
        print(as_json(parts, now))
    elif form == "html":
        print(page(parts, now, site.site.name or site.site.id, language))
    else:
        print(text(parts, now, language))
    return OK


def listed(inside: tuple[Inside, ...], names: NameTable, site: Site) -> list[Part]:
    """Class by class, in words."""
    return [
        Part(kind=part.kind, class_=part.label, people=tuple(_row(one, names, site) for one in part.people))
        for part in assembly.sections(inside)
    ]


def _row(one: Inside, names: NameTable, site: Site) -> Row:
    return Row(names.name(one.holder), _clock(one.since_ms, site))


async def _ask(site: Site) -> dict[str, Any]:
    answer = await ask_once(control_socket(site), {"op": "guard"})
    if "guard" not in answer:  # an empty list would say that nobody is left inside
        raise ControlAway(f"control does not tell who is inside: {answer.get('why', 'it is of another version')}")
    found: dict[str, Any] = answer["guard"]
    return found


def name_table(site: Site) -> NameTable:
    """The names in force, or pseudonyms where the key or the table is not to be had."""
    from agent.policy.bundle import BadBundle, unpack
    from agent.policy.store import CURRENT, FOLDER

    if not site.policy.names_key:
        return NameTable()
    try:
        data = (storage_dir(site) / FOLDER / CURRENT).read_bytes()
        return NameTable.open(unpack(data, None).names, load_key(resolve(site, site.policy.names_key)))
    except (OSError, BadBundle, BadNames) as error:
        print(f"menwei: names cannot be shown: {error}", file=sys.stderr)
        return NameTable()


def _clock(at_ms: int, site: Site) -> str:
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(site.site.timezone)).strftime("%m-%d %H:%M") if at_ms else ""


def counts(parts: list[Part]) -> dict[str, int]:
    """How many of each kind."""
    found: dict[str, int] = {}
    for part in parts:
        found[part.kind] = found.get(part.kind, 0) + len(part.people)
    return dict(sorted(found.items()))


def as_json(parts: list[Part], now: str) -> str:
    """`inside` is a row for each person: kind, name, since, class."""
    rows = [(part.kind, row.name, row.since, part.class_) for part in parts for row in part.people]
    classes = {part.class_: len(part.people) for part in parts if part.kind == "pupil"}
    return msgspec.json.encode({"at": now, "counts": counts(parts), "classes": classes, "inside": rows}).decode()


def _called(part: Part, language: str) -> str:
    kind = Words(language).people(part.kind)
    if part.kind == "pupil" and not part.class_:
        return NO_CLASS[language] % kind
    return f"{kind} {part.class_}".rstrip()


def text(parts: list[Part], now: str, language: str) -> str:
    """For a terminal."""
    w = Words(language)
    lines = [f"{HEAD[language][0]} {now}: {sum(len(part.people) for part in parts)}"]
    lines += [f"  {w.people(kind)}: {count}" for kind, count in counts(parts).items()]
    for part in parts:
        lines.append(f"{_called(part, language)}: {len(part.people)}")
        lines += [f"  {row.name}  {row.since}" for row in part.people]
    return "\n".join(lines)


def page(parts: list[Part], now: str, site: str, language: str) -> str:
    """To print: a table for each class, a box to tick for each person."""
    w, head = Words(language), HEAD[language]
    totals = " · ".join(f"{w.people(kind)} {count}" for kind, count in counts(parts).items())
    body = "\n".join(_table(part, language) for part in parts)
    return f"""<!doctype html>
<html lang="{language.replace("_", "-")}"><meta charset="utf-8"><title>{escape(head[0])} {now}</title>
<style>{STYLE}</style>
<h1>{escape(site)}: {escape(head[0])} {now}</h1><p>{sum(len(part.people) for part in parts)} — {escape(totals)}</p>
{body}
</html>"""


def _table(part: Part, language: str) -> str:
    head = HEAD[language]
    rows = "\n".join(f"<tr><td>☐</td><td>{escape(row.name)}</td><td>{row.since}</td></tr>" for row in part.people)
    return f"""<section><h2>{escape(_called(part, language))}: {len(part.people)}</h2>
<table><thead><tr><th></th><th>{head[1]}</th><th>{head[2]}</th></tr></thead><tbody>
{rows}
</tbody></table></section>"""
