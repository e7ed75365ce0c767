"""From the folder a school office edits to the wire form of a policy, and everything that is wrong with it at once.

TOML files hold what is written once a year (calendar, plans, groups), tables what an office keeps in a spreadsheet
(people, pick-ups, slips, passes, roster, names). `docs/policy.md` shows each.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Set
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent.core.policy import DAY_MINUTES, DAY_NAMES, Contradiction
from agent.core.shapes import is_code
from agent.policy import values
from agent.policy.tables import MOST_BYTES, BadTable, Row, read
from agent.policy.values import BadValue
from hardware import plain_file
from hardware.toml_lines import Lines, locate

Wire = dict[str, Any]
CARD_FORMAT = "uart-125k"

PEOPLE = {
    "card": ("卡号",), "holder": ("编号", "代号"), "group": ("组别", "身份"), "grade": ("年级",), "class": ("班级",),
    "from": ("起始日期", "生效"), "to": ("截止日期", "失效"), "state": ("状态",), "duress": ("胁迫卡",),
    "format": ("卡型",), "doors": ("门",), "lanes": ("车道",),
}  # fmt: skip
PICKUPS = {"guardian": ("家长", "接送人"), "pupils": ("学生",)}
SLIPS = {
    "id": ("编号",), "pupil": ("学生",), "issuer": ("开条人", "批准人"), "date": ("日期",), "from": ("起", "离校时间"),
    "to": ("止", "截止时间"), "guardian": ("家长接",), "reason": ("事由", "原因"),
}  # fmt: skip
PASSES = {
    "holder": ("编号", "代号"), "lanes": ("车道",), "from": ("起",), "to": ("止",), "weekdays": ("星期",),
    "first": ("生效",), "last": ("失效",),
}  # fmt: skip
ROSTER = {"post": ("岗位",), "guard": ("保安", "门卫"), "from": ("起",), "to": ("止",), "weekdays": ("星期",)}
NAMES = {"holder": ("编号", "代号"), "name": ("姓名",)}
BASE_KEYS = frozenset({"site", "box", "group", "zone", "post", "pickup_window", "rules", "source"})
TABLES = frozenset({"people.csv", "pickups.csv", "slips.csv", "passes.csv", "roster.csv", "names.csv"})
# What of the policy each file tells. Where a file could not be read whole, names from it are not judged elsewhere.
PARTS = {
    "policy.toml": ("groups", "zones", "posts"), "plans.toml": ("plans",), "calendar.toml": ("calendar",),
    "people.csv": ("credentials",),
}  # fmt: skip
TOML_CURE = (
    'look for quotes that are not ", brackets and commas that are missing, [x] instead of [[x]], dates like 2026-9-1'
)
STATES = {"": "", "正常": "", "ok": "", "banned": "banned", "停用": "banned", "lost": "lost", "挂失": "lost"}


class Folder:
    """Reads one folder. `found` collects what is wrong; `wire` is whole only when nothing is."""

    def __init__(self, folder: Path, zone: str = "Asia/Shanghai") -> None:
        self._folder = folder
        self._zone = ZoneInfo(zone)
        self._missing: set[str] = set()  # tables that are not there
        self._lines: dict[str, Lines] = {}  # of each TOML file that was read
        self.found: list[Contradiction] = []

    def wire(self, version: int, made_at_ms: int) -> Wire:
        """The policy's wire form, less what could not be read."""
        base = self._toml("policy.toml")
        wire: Wire = {
            "version": version,
            "made_at_ms": made_at_ms,
            "site_box": f"{base.get('site', '')}/{base.get('box', '*')}",
            "calendar": self._calendar(),
            "plans": self._plans(),
            "credentials_file": "people.csv",
            "credentials": self._table("people.csv", PEOPLE, ("card", "holder", "group"), self._person),
            "pickups": self._table("pickups.csv", PICKUPS, ("guardian", "pupils"), self._pickup),
            "slips": self._table("slips.csv", SLIPS, ("id", "pupil", "issuer", "date", "from", "to"), self._slip),
            "passes": self._table("passes.csv", PASSES, ("holder", "lanes"), self._pass),
            "roster": self._table("roster.csv", ROSTER, ("post", "guard", "from", "to"), self._duty),
        }
        wire |= self._base(base)
        return wire

    def lost(self) -> set[str]:
        """The parts of the policy that stand in a file with something in it that could not be read."""
        files = {one.source.partition(":")[0] for one in self.found} | self._missing
        return {part for file in files for part in PARTS.get(file, ())}

    def names(self) -> dict[str, str]:
        """Holder → name, for the guard console alone."""
        known: dict[str, tuple[str, str]] = {}
        for source, holder, name in self._table("names.csv", NAMES, ("holder", "name"), _named):
            first, _ = known.setdefault(holder, (source, name))
            if first != source:
                self._say(source, f"{holder} is there twice (first in {first})", "remove one of the two")
        return {holder: name for holder, (_, name) in known.items()}

    def _say(self, source: str, what: str, cure: str) -> None:
        self.found.append(Contradiction(source, what, cure))

    # ── tables ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _table(
        self,
        name: str,
        headings: dict[str, tuple[str, ...]],
        needed: tuple[str, ...],
        make: Callable[[str, dict[str, str]], Any],
    ) -> list[Any]:
        """Every row that can be read. A table that is not there is empty; without people there is no school."""
        path = self._folder / name
        if not path.exists():
            self._missing.add(name)
            meant = self._meant(path)
            if meant:
                self._say(meant, f"{name} is not there, and this may be meant for it", f"save it as {name}")
            elif name == "people.csv":
                self._say(name, "this file is missing", "export everybody's cards into it")
            return []
        made: list[Any] = []
        try:
            for row in read(path, headings, needed):
                self._row(name, row, headings, needed, make, made)
            if not made and not self.found and name == "people.csv":
                self._say(f"{name}:1", "there is nobody in this table", "export everybody's cards, one a line")
        except BadTable as error:
            self.found.append(error.found)
        return made

    def _meant(self, path: Path) -> str:
        """A file beside it that was probably meant: slip.csv, Slips.CSV or slips.xlsx for slips.csv. "" = none."""
        others = {other.stem.casefold(): other.name for other in sorted(self._folder.iterdir()) if _is_table(other)}
        return next((others[stem] for stem in get_close_matches(path.stem, others, 1, 0.8)), "")

    def _row(
        self,
        name: str,
        row: Row,
        headings: dict[str, tuple[str, ...]],
        needed: tuple[str, ...],
        make: Callable[[str, dict[str, str]], Any],
        made: list[Any],
    ) -> None:
        line, cells = row
        source = f"{name}:{line}"
        empty = [column for column in needed if not cells.get(column)]
        if empty:
            title = f"{empty[0]} ({headings[empty[0]][0]})"
            self._say(source, f"{title} is empty", "fill it in, or remove the line")
            return
        try:
            made.append(make(source, cells))
        except BadValue as error:
            self._say(source, error.args[0], error.args[1])

    def _person(self, source: str, cells: dict[str, str]) -> Wire:
        state = cells.get("state", "")
        if state.casefold() not in STATES:
            raise BadValue(f"“{state}” is no state of a card", "leave it empty, or write 停用 or 挂失")
        made: Wire = {
            "card": values.card(cells["card"], cells.get("format") or CARD_FORMAT),
            "holder": cells["holder"],
            "group": cells["group"],
            "line": int(source.rpartition(":")[2]),
        }
        made |= {name: cells[name] for name in ("grade", "class") if cells.get(name)}
        made |= {name: values.names(cells[name]) for name in ("doors", "lanes") if cells.get(name)}
        made |= self._span(cells.get("from", ""), cells.get("to", ""))
        if STATES[state.casefold()]:
            made["state"] = STATES[state.casefold()]
        if values.is_yes(cells.get("duress", "")):
            made["duress"] = True
        return made

    def _span(self, first: str, last: str) -> Wire:
        """`from_ms` and `to_ms` of two dates, the last one included."""
        made: Wire = {}
        if first:
            made["from_ms"] = values.midnight_ms(values.day(first), self._zone)
        if last:
            made["to_ms"] = values.midnight_ms(values.day(last), self._zone) + 86_400_000
        return made

    def _pickup(self, source: str, cells: dict[str, str]) -> Wire:
        return {"guardian": cells["guardian"], "pupils": values.names(cells["pupils"]), "source": source}

    def _slip(self, source: str, cells: dict[str, str]) -> Wire:
        midnight = values.midnight_ms(values.day(cells["date"]), self._zone)
        return {
            "id": cells["id"],
            "pupil": cells["pupil"],
            "issuer": cells["issuer"],
            "from_ms": midnight + values.minute(cells["from"]) * 60_000,
            "to_ms": midnight + values.minute(cells["to"]) * 60_000,
            "guardian": values.is_yes(cells.get("guardian", "")),
            "reason": values.leave_reason(cells.get("reason", "")),
            "source": source,
        }

    def _pass(self, source: str, cells: dict[str, str]) -> Wire:
        return self._span(cells.get("first", ""), cells.get("last", "")) | {
            "holder": cells["holder"],
            "lanes": values.names(cells["lanes"]),
            "start": values.minute(cells.get("from") or "00:00"),
            "end": values.minute(cells.get("to") or "24:00"),
            "weekdays": values.weekdays(cells.get("weekdays", "")),
            "source": source,
        }

    def _duty(self, source: str, cells: dict[str, str]) -> Wire:
        return {
            "post": cells["post"],
            "guard": cells["guard"],
            "start": values.minute(cells["from"]),
            "end": values.minute(cells["to"]),
            "weekdays": values.weekdays(cells.get("weekdays", "")),
            "source": source,
        }

    # ── TOML ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _toml(self, name: str) -> Wire:
        try:
            data = plain_file.read(self._folder / name, MOST_BYTES)
            if len(data) > MOST_BYTES:
                self._say(name, "is far too large for a table", "export only this school's people")
                return {}
            text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
            self._lines[name] = locate(text)
            found: Wire = _sourced(tomllib.loads(text), name, self._lines[name], ())
            return found
        except FileNotFoundError:
            self._say(name, "this file is missing", "copy it from the example and fill it in")
        except UnicodeDecodeError:
            self._say(name, "this file is not UTF-8", "save it as UTF-8")
        except OSError as error:
            self._say(name, f"cannot be read: {error.strerror}", "check the file and its rights")
        except tomllib.TOMLDecodeError as error:
            line = re.search(r" \(at line (\d+), column \d+\)$", str(error))
            source, text = (f"{name}:{line[1]}", str(error)[: line.start()]) if line else (name, str(error))
            self._say(source, f"this is not TOML: {text}", TOML_CURE)
        return {}

    def _calendar(self) -> Wire | None:
        raw = self._toml("calendar.toml")
        if not raw:
            return None
        rule = raw.pop("weekdays", {})
        places = self._places("calendar.toml", "first", "last")
        return {
            "first": self._date(raw.pop("first", ""), places.get("first", "calendar.toml")),
            "last": self._date(raw.pop("last", ""), places.get("last", "calendar.toml")),
            "weekdays": self._weekdays(rule) if isinstance(rule, dict) else rule,
            "vacation": raw.pop("vacation", ""),
            "terms": [self._dated(term, ("first", "last")) for term in self._tables(raw, "term")],
            "special": [self._dated(one, ("date",)) for one in self._tables(raw, "special")],
            "source": raw.pop("source", "calendar.toml:1"),
            "sources": self._places("calendar.toml", "vacation", "weekdays", *(("weekdays", day) for day in DAY_NAMES)),
        } | raw

    def _weekdays(self, rule: Wire) -> list[object]:
        for name in rule.keys() - set(DAY_NAMES):
            self._say(
                self._places("calendar.toml", ("weekdays", name))[name],
                f"there is no day of the week named “{name}”",
                f"the days are: {', '.join(DAY_NAMES)}",
            )
        return [rule.get(name, "") for name in DAY_NAMES]

    def _places(self, name: str, *paths: str | tuple[str, ...]) -> dict[str, str]:
        """ "file:line" of each key that the file mentions, by its last name."""
        lines = self._lines[name]
        keys = [(path,) if isinstance(path, str) else path for path in paths]
        return {key[-1]: f"{name}:{lines.at[key]}" for key in keys if key in lines.at}

    def _dated(self, table: Wire, keys: tuple[str, ...]) -> Wire:
        return table | {key: self._date(table.get(key, ""), str(table.get("source", ""))) for key in keys}

    def _date(self, value: object, source: str) -> str:
        try:
            return values.day(str(value)).isoformat()
        except BadValue as error:
            self._say(source, error.args[0], error.args[1])
            return str(value)

    def _plans(self) -> list[Wire]:
        base = self._toml("plans.toml")
        self._no_other_parts("plans.toml", base, {"plan", "source"})
        plans = self._tables(base, "plan")
        if base and not plans:
            self._say("plans.toml", "there is no day plan in this file", "copy one from the example: [[plan]]")
        for plan in plans:
            plan["windows"] = self._tables(plan, "window", "windows")
            for window in plan["windows"]:
                window |= self._times(window)
                window["passages"] = self._tables(window, "passage", "passages")
        return plans

    def _times(self, table: Wire) -> Wire:
        """`start` and `end` as minutes of the day; the whole day where that cannot be read."""
        made: Wire = {}
        for key, otherwise in (("start", 0), ("end", DAY_MINUTES)):
            try:
                made[key] = values.minute(str(table.get(key, "")))
            except BadValue as error:
                self._say(str(table.get("source", "")), f"{key}: {error.args[0]}", error.args[1])
                made[key] = otherwise
        return made

    def _base(self, base: Wire) -> Wire:
        """Groups, zones, posts, the school's rules and the pick-up windows."""
        if base:
            self._no_other_parts("policy.toml", base, BASE_KEYS)
            if not base.get("site"):
                self._say("policy.toml:1", "site is missing", 'write site = "…", as in the site file of the box')
        pickup = [table | self._times(table) for table in self._tables(base, "pickup_window")]
        return {
            "groups": self._tables(base, "group"),
            "zones": self._tables(base, "zone"),
            "posts": self._tables(base, "post"),
            "pickup_windows": pickup,
            "rules": base.get("rules", {}),
        }

    def _no_other_parts(self, name: str, base: Wire, known: Set[str]) -> None:
        for key in sorted(base.keys() - known):
            place = self._places(name, key).get(key, name)
            cure = f"the parts are: {', '.join(sorted(known - {'source'}))}"
            self._say(place, f"there is no part named “{key}”", cure)

    def _tables(self, base: Wire, key: str, plural: str = "") -> list[Wire]:
        """The tables that `base` has under `key`, taken out of it. `plural`: what the wire form calls them, and what
        an office may take for their name."""
        found = base.pop(key, [])
        if plural in base:
            base.pop(plural)
            where = str(base.get("source", ""))
            self._say(where, f"there is no key “{plural}” here", f"write {key}, without the s")
        if isinstance(found, list) and all(isinstance(one, dict) for one in found):
            return found
        source = found.get("source", "") if isinstance(found, dict) else base.get("source", "")
        self._say(str(source), f"{key} may be there several times", f"write [[…{key}]], with two brackets")
        return []


def _is_table(path: Path) -> bool:
    return path.name not in TABLES and path.suffix.casefold() in (".csv", ".xls", ".xlsx", ".txt")


def _named(source: str, cells: dict[str, str]) -> tuple[str, str, str]:
    if not is_code(cells["holder"]):
        raise BadValue("the holder is no code that people.csv could have", "look whether the two columns are swapped")
    return source, cells["holder"], cells["name"]


# Tables of the files that are no entries of the policy with a source of their own.
_PLAIN = frozenset({"weekdays", "doors"})


def _sourced(value: Any, name: str, lines: Lines, path: tuple[str | int, ...]) -> Any:
    """The same, with `source` = "file:line" in every table below the top."""
    if isinstance(value, list):
        return [_sourced(one, name, lines, (*path, at)) for at, one in enumerate(value)]
    if not isinstance(value, dict):
        return value
    made = {key: _sourced(one, name, lines, (*path, key)) for key, one in value.items()}
    plain = bool(path) and path[-1] in _PLAIN
    return made if plain else made | {"source": f"{name}:{lines.of(path) if path else 1}"}
