"""From the folder a school office edits to the wire form of a policy, and everything that is wrong with it at once.

TOML files hold what is written once a year (calendar, plans, groups), tables what an office keeps in a spreadsheet
(people, pick-ups, slips, passes, roster, names). `docs/policy.md` shows each.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent.core.policy import Contradiction
from agent.policy import values
from agent.policy.tables import BadTable, Row, read
from agent.policy.values import BadValue
from hardware.toml_lines import Lines, locate

Wire = dict[str, Any]
DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CARD_FORMAT = "uart-125k"

PEOPLE = {
    "card": ("卡号",), "holder": ("编号", "代号"), "group": ("组别", "身份"), "grade": ("年级",), "class": ("班级",),
    "from": ("起始日期", "生效"), "to": ("截止日期", "失效"), "state": ("状态",), "duress": ("胁迫卡",),
    "format": ("卡型",), "doors": ("门",), "lanes": ("车道",),
}  # fmt: skip
PICKUPS = {"guardian": ("家长", "接送人"), "pupils": ("学生",)}
SLIPS = {
    "id": ("编号",), "pupil": ("学生",), "issuer": ("开条人", "批准人"), "date": ("日期",), "from": ("起", "离校时间"),
    "to": ("止", "截止时间"), "guardian": ("家长接",),
}  # fmt: skip
PASSES = {
    "holder": ("编号", "代号"), "lanes": ("车道",), "from": ("起",), "to": ("止",), "weekdays": ("星期",),
    "first": ("生效",), "last": ("失效",),
}  # fmt: skip
ROSTER = {"post": ("岗位",), "guard": ("保安", "门卫"), "from": ("起",), "to": ("止",), "weekdays": ("星期",)}
NAMES = {"holder": ("编号", "代号"), "name": ("姓名",)}
BASE_KEYS = frozenset({"site", "box", "group", "zone", "post", "pickup_window", "rules", "source"})
STATES = {"": "", "正常": "", "ok": "", "banned": "banned", "停用": "banned", "lost": "lost", "挂失": "lost"}


class Folder:
    """Reads one folder. `found` collects what is wrong; `wire` is whole only when nothing is."""

    def __init__(self, folder: Path, zone: str = "Asia/Shanghai") -> None:
        self._folder = folder
        self._zone = ZoneInfo(zone)
        self.found: list[Contradiction] = []

    def wire(self, version: int, made_at_ms: int) -> Wire:
        """The policy's wire form, less what could not be read."""
        base = self._toml("policy.toml")
        for key in base.keys() - BASE_KEYS:
            self._say(
                "policy.toml", f"there is no part named “{key}”", f"the parts are: {', '.join(sorted(BASE_KEYS))}"
            )
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

    def names(self) -> dict[str, str]:
        """Holder → name, for the guard console alone."""
        rows = self._table("names.csv", NAMES, ("holder", "name"), lambda _, cells: [cells["holder"], cells["name"]])
        return dict(rows)

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
        """Every row that can be read; a table that is not there is empty."""
        path = self._folder / name
        if not path.exists():
            return []
        made: list[Any] = []
        try:
            for row in read(path, headings, needed):
                self._row(name, row, needed, make, made)
        except BadTable as error:
            self.found.append(error.found)
        return made

    def _row(
        self,
        name: str,
        row: Row,
        needed: tuple[str, ...],
        make: Callable[[str, dict[str, str]], Any],
        made: list[Any],
    ) -> None:
        line, cells = row
        source = f"{name}:{line}"
        empty = [column for column in needed if not cells.get(column)]
        if empty:
            self._say(source, f"{empty[0]} is empty", "fill it in, or remove the line")
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
            text = (self._folder / name).read_text("utf-8-sig")
            found: Wire = _sourced(tomllib.loads(text), name, locate(text), ())
            return found
        except FileNotFoundError:
            self._say(name, "this file is missing", "copy it from the example and fill it in")
        except UnicodeDecodeError:
            self._say(name, "this file is not UTF-8", "save it as UTF-8")
        except OSError as error:
            self._say(name, f"cannot be read: {error.strerror}", "check the file and its rights")
        except tomllib.TOMLDecodeError as error:
            self._say(name, f"this is not TOML: {error}", "check quotes, brackets and commas there")
        return {}

    def _calendar(self) -> Wire:
        raw = self._toml("calendar.toml")
        if not raw:
            return {}
        rule = raw.pop("weekdays", {})
        days = [rule.get(name, "") for name in DAY_NAMES] if isinstance(rule, dict) else rule
        return {
            "first": self._date(raw.pop("first", ""), "calendar.toml"),
            "last": self._date(raw.pop("last", ""), "calendar.toml"),
            "weekdays": days,
            "vacation": raw.pop("vacation", ""),
            "terms": [self._dated(term, ("first", "last")) for term in _tables(raw.pop("term", []))],
            "special": [self._dated(one, ("date",)) for one in _tables(raw.pop("special", []))],
            "source": raw.pop("source", "calendar.toml:1"),
        } | raw

    def _dated(self, table: Wire, keys: tuple[str, ...]) -> Wire:
        return table | {key: self._date(table.get(key, ""), str(table.get("source", ""))) for key in keys}

    def _date(self, value: object, source: str) -> str:
        try:
            return values.day(str(value)).isoformat()
        except BadValue as error:
            self._say(source, error.args[0], error.args[1])
            return str(value)

    def _plans(self) -> list[Wire]:
        made = []
        for plan in _tables(self._toml("plans.toml").get("plan", [])):
            windows = [self._window(window) for window in _tables(plan.pop("window", []))]
            made.append(plan | {"windows": windows})
        return made

    def _window(self, window: Wire) -> Wire:
        passages = _tables(window.pop("passage", []))
        return window | self._times(window) | {"passages": passages}

    def _times(self, table: Wire) -> Wire:
        """`start` and `end` as minutes of the day."""
        made: Wire = {}
        for key in ("start", "end"):
            try:
                made[key] = values.minute(str(table.get(key, "")))
            except BadValue as error:
                self._say(str(table.get("source", "")), f"{key}: {error.args[0]}", error.args[1])
                made[key] = 0
        return made

    def _base(self, base: Wire) -> Wire:
        """Groups, zones, posts, the school's rules and the pick-up windows."""
        pickup = [table | self._times(table) for table in _tables(base.get("pickup_window", []))]
        return {
            "groups": _tables(base.get("group", [])),
            "zones": _tables(base.get("zone", [])),
            "posts": _tables(base.get("post", [])),
            "pickup_windows": pickup,
            "rules": base.get("rules", {}),
        }


def _tables(value: object) -> list[Wire]:
    return [dict(one) for one in value if isinstance(one, dict)] if isinstance(value, list) else []


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
