"""How a report speaks: one language, one site, its local time, and whether people may be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from agent.locale import mark
from agent.reports.model import Head, Ref, When
from agent.reports.month import local
from agent.web import choices, kinds, words
from hardware.site import Site

GROUP: Mapping[str, str] = {**choices.PEOPLE, "visit": choices.PEOPLE["visitor"]}
MORE_WHY: Mapping[str, str] = {
    "no answer": mark("no answer"),
    "step": mark("it was set"),
    "broker away": mark("the broker is away"),
    "heartbeat": mark("its controller stands still"),
    "power": mark("power came"),
    "cut": mark("line cut"),
    "shorted": mark("line shorted"),
    "disagree": mark("contacts contradict each other"),
    "unread": mark("not measured"),
    "reversals": mark("was turned round twice in a row"),
    "drill": mark("drill"),
}


class Speech:
    """`names`: whether people's handles are shown; where not, everything told of single persons is blank."""

    def __init__(self, language: str, site: Site, *, names: bool) -> None:
        self.w = words.Words(language, site)
        self.site = site
        self.names = names
        self.zone = ZoneInfo(site.site.timezone)

    def t(self, text: str, **values: object) -> str:
        return self.w.t(text, **values)

    def of(self, table: Mapping[str, str], value: str | None) -> str:
        return self.w.of(table, value)

    def kind(self, kind: str) -> str:
        """A record's kind in words."""
        return self.of(kinds.TITLES, kind)

    def person(self, handle: str) -> str | None:
        return (handle or None) if self.names else None

    def thing(self, subject: str) -> str:
        """A thing of the site by a record's subject."""
        kind, _, ident = subject.partition(":")
        match kind:
            case "supply":
                return self.of(words.SUPPLY, ident)
            case "path":
                return self.of(words.PATH, ident)
            case "entry":
                return self.t("way in")
            case "clock":
                return self.t("clock of the box")
            case "journal":
                return self.t("journal")
            case _:
                return self.w.thing(subject)

    def place(self, ident: str) -> str:
        """A door, reader, lane or button by its id; anything else as a thing of the site."""
        known = (self.w.name(kind, ident) for kind in _PLACES if self.w.known(kind, ident))
        return next(known, self.thing(ident))

    def why(self, ident: str) -> str:
        """A reason in words; one without words stands for itself."""
        return self.of(MORE_WHY, ident) if ident in MORE_WHY else self.w.why(ident)

    # ── times ──────────────────────────────────────────────────────────────────────────────────────────────────

    def time(self, at_ms: int | None) -> datetime | None:
        """Local time, without its zone: the report's head names it."""
        return None if at_ms is None else local(at_ms, self.zone).replace(tzinfo=None, microsecond=0)

    def when(self, when: When | None) -> datetime | str | None:
        """Where the clock was not sure: the instant after which it was."""
        if when is None:
            return None
        time = self.time(when.at_ms)
        return time if when.sure else self.t("after %(time)s", time=str(time))

    def day(self, head: Head, day: int) -> date:
        first = local(head.from_ms, self.zone).date()
        return first.replace(day=day + 1)

    def date(self, at_ms: int) -> date:
        return local(at_ms, self.zone).date()

    @staticmethod
    def ref(ref: Ref) -> str:
        return f"{ref[0]}-{ref[1]}"

    def more(self, count: int) -> tuple[str, ...]:
        """A note on rows that the table has no room for."""
        return (self.t("%(n)s more are not listed here: the journal has them.", n=count),) if count else ()


_PLACES = ("door", "reader", "lane", "button")


def minutes(ms: int) -> float:
    """To a tenth of a minute."""
    return round(ms / 60_000, 1)


def share(part: int, whole: int) -> float | None:
    """A part of the whole, cut (not rounded) to a hundredth of a percent: 1.0 means all of it."""
    return part * 10_000 // whole / 10_000 if whole else None
