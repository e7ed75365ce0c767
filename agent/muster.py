"""`menwei muster`: who is inside, for an evacuation. Pseudonyms, or names where the school's name key is at hand."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from agent.guard_picture import Guard
from agent.link import ControlAway, ControlLink
from agent.policy.names import BadNames, NameTable, load_key
from agent.preview.words import Words
from hardware.places import control_socket, resolve, storage_dir
from hardware.site import Site

OK, WRONG = 0, 1
STYLE = """body{font:14px system-ui,sans-serif}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #999;padding:4px;text-align:left}@page{size:A4;margin:15mm}tr{break-inside:avoid}"""
HEAD = {"en": ("Inside at", "Name", "Since"), "zh_CN": ("在校名单，时间", "姓名", "进入时间")}


def run(site: Site, *, form: str, language: str) -> int:
    """Print the list as "text", "json" or "html"."""
    try:
        told = asyncio.run(_ask(site))
    except ControlAway as error:
        print(f"menwei: {error}", file=sys.stderr)
        return WRONG
    seen = msgspec.convert(told, Guard)
    names = name_table(site)
    rows = [(one.kind, names.name(one.holder), _clock(one.since_ms, site)) for one in seen.inside]
    now = datetime.now(ZoneInfo(site.site.timezone)).strftime("%Y-%m-%d %H:%M")
    if form == "json":
        print(msgspec.json.encode({"at": now, "counts": seen.counts, "inside": rows}).decode())
    elif form == "html":
        print(page(rows, seen.counts, now, site.site.name or site.site.id, language))
    else:
        print(text(rows, seen.counts, now, language))
    return OK


async def _ask(site: Site) -> dict[str, Any]:
    link = ControlLink(control_socket(site))
    try:
        answer = await link.request({"op": "guard"})
    finally:
        await link.close()
    found: dict[str, Any] = answer.get("guard", {})
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


Rows = list[tuple[str, str, str]]


def text(rows: Rows, counts: dict[str, int], now: str, language: str) -> str:
    """For a terminal."""
    w = Words(language)
    lines = [f"{HEAD[language][0]} {now}: {len(rows)}"]
    lines += [f"  {w.people(kind)}: {count}" for kind, count in sorted(counts.items())]
    lines += [f"  {w.people(kind)}  {name}  {since}" for kind, name, since in rows]
    return "\n".join(lines)


def page(rows: Rows, counts: dict[str, int], now: str, site: str, language: str) -> str:
    """One sheet to print: a box to tick for each person."""
    w = Words(language)
    head = HEAD[language]
    totals = " · ".join(f"{w.people(kind)} {count}" for kind, count in sorted(counts.items()))
    body = "\n".join(
        f"<tr><td>☐</td><td>{escape(w.people(kind))}</td><td>{escape(name)}</td><td>{since}</td></tr>"
        for kind, name, since in rows
    )
    return f"""<!doctype html>
<html lang="{language.replace("_", "-")}"><meta charset="utf-8"><title>{escape(head[0])} {now}</title>
<style>{STYLE}</style>
<h1>{escape(site)}: {escape(head[0])} {now}</h1><p>{len(rows)} — {escape(totals)}</p>
<table><thead><tr><th></th><th></th><th>{head[1]}</th><th>{head[2]}</th></tr></thead><tbody>
{body}
</tbody></table></html>"""
