"""The console's pages for one session: the gate, today, people and visits, in parts that are sent again when they
changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

import msgspec
from jinja2 import Environment

from agent import assembly
from agent.core.words import Stage
from agent.locale import LANGUAGES
from agent.picture.guard import Guard, Inside, Visiting, Window
from agent.policy.names import NameTable
from agent.register.store import Entry
from agent.web import choices
from agent.web import words as tables
from agent.web.console import words as console_words
from agent.web.console.accounts import Role
from agent.web.console.asks import ASKS, GUARDS
from agent.web.console.kept import NOTHING, Kept
from agent.web.console.sessions import Session
from agent.web.feed import Feed
from agent.web.findings import Finding, Weight
from agent.web.render import environment
from agent.web.view import View
from agent.web.words import Words
from hardware.site import Site

PARTS = ("alarm", "gate", "today", "slips", "visits", "duty", "inside", "hazards")
ALARM_SIGN = "🔴 "
SHIFTS = (5, 10, 15, 20, 30, 45, 60)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What control and the desk know at one moment. `guard` is None while control is away."""

    guard: Guard | None
    names: NameTable
    entries: Mapping[str, Entry]
    notes: tuple[tuple[str, int, Entry], ...] = ()
    photos: frozenset[str] = frozenset()  # hazards that have a picture


class Bar(msgspec.Struct, frozen=True):
    """A window as a bar on the line of today, in hundredths of the line's width."""

    left: str
    width: str
    window: Window


class ConsoleView(View):
    """Everything a template reads, in one language, for one session."""

    def __init__(self, feed: Feed, site: Site, w: Words, session: Session, told: Told, kept: Kept = NOTHING) -> None:
        super().__init__(feed, site, w, (), "")
        self.session = session
        self.role = session.account.role
        self.kept = kept
        self.g = told.guard or Guard()
        self.has_guard = told.guard is not None
        self._names = told.names
        self._entries = told.entries
        self.notes, self.photos = told.notes, told.photos
        self.has_names = len(told.names) > 0

    @property
    def serious(self) -> list[Finding]:
        """What is wrong at the gate, worst first: what makes the verdict anything but "all right"."""
        return [one for one in self.found if one.weight >= Weight.WARNING]

    def reached(self, stage: str) -> bool:
        """Whether any path has brought any open alarm that far."""
        order = list(Stage)
        least = order.index(Stage(stage))
        return any(order.index(at) >= least for alarm in self.p.panic.alarms for at in alarm.stages.values())

    def may(self, verb: str) -> bool:
        return self.role in ASKS[verb].roles

    @property
    def may_muster(self) -> bool:
        return self.role in GUARDS

    def ident(self, verb: str, subject: str = "") -> str:
        return self.session.ident(verb, subject)

    # ── a form that was refused ────────────────────────────────────────────────────────────────────────────────

    def old(self, verb: str, name: str, first: str = "") -> str:
        """What a field holds: what was typed when the form was refused, else `first`."""
        return self.kept.fields.get(name, "") if self.kept.verb == verb else first

    def wrong(self, verb: str, name: str) -> bool:
        return self.kept.verb == verb and self.kept.field == name

    def fault(self, verb: str, name: str) -> dict[str, str]:
        """What marks the field at fault."""
        return {"aria-invalid": "true", "aria-describedby": f"wrong-{verb}"} if self.wrong(verb, name) else {}

    def pairs(self, table: Mapping[str, str]) -> list[tuple[str, str]]:
        """What a guard chooses from, in words."""
        return [(ident, self.w.t(text)) for ident, text in table.items()]

    # ── people ─────────────────────────────────────────────────────────────────────────────────────────────────

    def name(self, holder: str) -> str:
        """The school's name of a holder, the register's of a handle, or what it is called in the records."""
        entry = self._entries.get(holder)
        return (entry.name if entry is not None else "") or self._names.name(holder)

    def entry(self, handle: str) -> Entry:
        return self._entries.get(handle, Entry())

    # ── today ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def bars(self) -> tuple[Bar, ...]:
        first, last = self.hours
        span = (last - first) * 60
        return tuple(
            Bar(
                f"{100 * (window.start - first * 60) / span:.2f}",
                f"{100 * (window.end - window.start) / span:.2f}",
                window,
            )
            for window in self.g.day_windows
        )

    @property
    def plan_label(self) -> str:
        return dict(self.g.plans).get(self.g.plan) or self.g.plan

    @property
    def hours(self) -> tuple[int, int]:
        windows = self.g.day_windows
        first = min((window.start for window in windows), default=360) // 60
        return first, max(first + 1, -(-max((window.end for window in windows), default=1200) // 60))

    @property
    def now_left(self) -> str:
        first, last = self.hours
        at = 100 * (self.g.minute - first * 60) / ((last - first) * 60)
        return f"{at:.2f}" if 0 <= at <= 100 else ""

    def running(self, window: Window) -> bool:
        return window.start <= self.g.minute < window.end

    @property
    def following(self) -> Window | None:
        late = [window for window in self.g.day_windows if window.start > self.g.minute]
        return min(late, key=lambda window: window.start, default=None)

    @staticmethod
    def hm(minute: int) -> str:
        return f"{minute // 60:02d}:{minute % 60:02d}"

    def short(self, at_ms: int) -> str:
        """Hours and minutes, with the day when it is not today."""
        return self.clock_ms(at_ms)[:-3]

    # ── who is inside ──────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def inside(self) -> tuple[Inside, ...]:
        return assembly.everybody(self.g)

    @property
    def sections(self) -> tuple[assembly.Section, ...]:
        """The muster list as it is counted: pupils class by class."""
        return assembly.sections(self.inside)

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many of each kind are inside."""
        return sorted(Counter(one.kind for one in self.inside).items())

    # ── visits ─────────────────────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def visit_state(visit: Visiting) -> str:
        """ "overstay", "inside", "waiting" for consent, "may" come in, or "over"."""
        if visit.left_s <= 0:
            return "overstay" if visit.came else "over"
        if visit.came:
            return "inside"
        return "may" if visit.consent else "waiting"

    @property
    def doors(self) -> list[tuple[str, str]]:
        return [(door.id, self.w.name("door", door.id)) for door in self.site.door]

    @property
    def buttons(self) -> list[tuple[str, str]]:
        return [(button.id, self.w.name("button", button.id)) for button in self.site.panic_button]

    @property
    def posts(self) -> list[tuple[str, str]]:
        return [(post.id, post.label) for post in self.g.posts]

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Where a visitor may come in: doors, and lanes for vehicles."""
        doors = [(f"door:{ident}", name) for ident, name in self.doors]
        return (*doors, *((f"lane:{lane.id}", self.w.name("lane", lane.id)) for lane in self.site.lane))


class ConsolePages:
    """Renders for whoever is logged in."""

    def __init__(self, feed: Feed, site: Site) -> None:
        self._feed = feed
        self._site = site
        self.words = {language: Words(language, site) for language in LANGUAGES}
        self._environments = {name: self._environment(self.words[name]) for name in LANGUAGES}

    def view(self, language: str, session: Session, told: Told, kept: Kept = NOTHING) -> ConsoleView:
        return ConsoleView(self._feed, self._site, self.words[language], session, told, kept)

    def parts(self, view: ConsoleView) -> dict[str, str]:
        language = view.w.language
        return {
            part: self._environments[language].get_template(f"console_{part}.html").render(v=view) for part in PARTS
        }

    def title(self, view: ConsoleView) -> str:
        """The alarm first: it is what a tab shows."""
        name = self._site.site.name or self._site.site.id
        if view.stale:
            return f"? {view.verdict.title} · {name}"
        return f"{ALARM_SIGN if view.p.panic.latched or view.p.fire.latched else ''}{view.w.t('Guard')} · {name}"

    def page(self, template: str, language: str, **values: object) -> str:
        site, words = self._site, self.words[language]
        return self._environments[language].get_template(f"{template}.html").render(site=site, w=words, **values)

    def why(self, language: str, ident: str) -> str:
        """Why something was not done, as a sentence."""
        w = self.words[language]
        head, _, rest = ident.partition(":")
        if head in console_words.WHY:
            return w.t(console_words.WHY[head])
        if head == "minutes":
            return w.t("Minutes: %(range)s.", range=rest)
        if head == "due":
            return w.t("Days: %(range)s.", range=rest)
        if head == "line":
            return w.t("Not done: %(why)s.", why=w.of(tables.LINE, rest))
        return w.t("Not done: %(why)s.", why=w.why(ident))

    @staticmethod
    def _environment(words: Words) -> Environment:
        made = environment(words)
        made.globals.update(c=console_words, choices=choices, roles=tuple(Role), shifts=SHIFTS)
        return made
