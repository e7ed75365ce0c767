"""What a template is given: the picture with everything that is said of it, in one language."""

from __future__ import annotations

from functools import cached_property

import msgspec
from markupsafe import Markup

from agent.core.words import FROM_AFAR, Stage
from agent.journal.reader import Row
from agent.picture import Alarm, Bollard, Device, Picture
from agent.preview.day import DayView
from agent.preview.svg import draw
from agent.preview.words import Words as Plain
from agent.preview.words import clock
from agent.web import kinds
from agent.web.feed import Contact, Feed, wall_ms
from agent.web.findings import Verdict, findings, glance, verdict
from agent.web.findings.box import place
from agent.web.findings.lanes import rise_drift_percent
from agent.web.schedule import day_view
from agent.web.words import STEP, Words
from hardware.site import Site
from hardware.ways import alarm_ways

STEPS = (Stage.SENT, Stage.RECEIVED, Stage.COMING, Stage.ARRIVED)


class Step(msgspec.Struct, frozen=True):
    """One step of an alarm on one path: `state` is "done", "now" or "open"."""

    stage: Stage
    state: str
    text: str


class TrendLine(msgspec.Struct, frozen=True):
    """A bollard's last rises as a line in a box of 84 by 24, slower is higher; `told` for those who cannot see it."""

    points: str
    nominal_y: str
    warn_y: str
    told: str


class View:
    """Made once for each version of the feed and language. Templates read it; it changes nothing."""

    def __init__(self, feed: Feed, site: Site, w: Words, records: tuple[Row, ...], journal_why: str) -> None:
        self.p: Picture = feed.picture
        self.site = site
        self.w = w
        self.contact: Contact = feed.contact
        self.known = feed.known
        self.journal_why = journal_why
        self.now_ms = wall_ms()
        self.found = findings(self.p, site, w) if self.known else ()
        self.lines = tuple(kinds.line(row, w) for row in records)
        self.verdict = self._verdict()
        self.glance = glance(self.p, self.found)

    def _verdict(self) -> Verdict:
        if self.contact.up:
            return verdict(self.p, self.found, self.w)
        return Verdict(
            state="lost",
            title=self.w.t("No contact with the box's control program"),
            text=self.w.t("What is shown below is what was last known, not what is now."),
        )

    @cached_property
    def day(self) -> DayView | None:
        """Today, None where it is not known."""
        campus = self.p.campus
        return None if campus is None else day_view(campus, Plain(self.w.language), self._place)

    def _place(self, ident: str) -> str:
        """A door or a lane as the site file calls it."""
        return self.w.name("door" if self.w.known("door", ident) else "lane", ident)

    @property
    def timeline(self) -> Markup:
        """Today as an SVG; whoever draws it escapes what the school wrote."""
        return Markup(draw(self.day, Plain(self.w.language), bare=True) if self.day is not None else "")

    def say(self, name: str, *values: object) -> str:
        """A text of the preview."""
        return Plain(self.w.language).say(name, *values)

    def window(self, kind: str) -> str:
        """What a kind of window is called."""
        return Plain(self.w.language).kind(kind)

    @staticmethod
    def of_day(minute: int) -> str:
        """A local minute of the day: "07:30"."""
        return clock(minute)

    @property
    def stale(self) -> bool:
        return not self.contact.up

    @property
    def base(self) -> object:
        """What every part shows besides its own fields: whether it is known, and how instants become times of day."""
        offset_s = round((self.p.wall_ms - self.p.mono_ms) / 1000)
        return (self.known, self.stale, offset_s, self.w.date_time(self.p.wall_ms)[:10])

    # ── times ──────────────────────────────────────────────────────────────────────────────────────────────────

    def wall(self, instant: int) -> int:
        """Wall-clock ms of an instant of the picture."""
        return self.p.wall_ms - (self.p.mono_ms - instant)

    def clock(self, instant: int) -> str:
        return self.w.clock(self.wall(instant), self.p.wall_ms)

    def clock_ms(self, at_ms: int) -> str:
        return self.w.clock(at_ms, self.now_ms)

    def trend(self, bollard: Bollard) -> TrendLine:
        """From 0.7 to 1.5 times the nominal time; what is beyond lies on the edge."""
        nominal = max(1, bollard.nominal_rise_ms)

        def y(ms: float) -> str:
            return f"{23 - 22 * min(1.0, max(0.0, (ms / nominal - 0.7) / 0.8)):.1f}"

        rises = bollard.rises
        step = 82 / max(1, len(rises) - 1)
        points = " ".join(f"{1 + at * step:.1f},{y(ms)}" for at, ms in enumerate(rises))
        return TrendLine(points, y(nominal), y(1.2 * nominal), ", ".join(self.w.seconds(ms) for ms in rises))

    # ── parts of the picture in words ──────────────────────────────────────────────────────────────────────────

    def steps(self, alarm: Alarm, path: str) -> tuple[Step, ...]:
        """How far an alarm has come on a path. "Received" is shown only on the far side's word."""
        reached = alarm.stages.get(path)
        made = []
        waiting = False
        for stage in STEPS:
            done = reached is not None and not stage.is_after(reached)
            state = "done" if done else "open" if waiting else "now"
            made.append(Step(stage, state, self.w.t(STEP[stage][not done])))
            waiting = waiting or not done
        return tuple(made)

    def spare(self, alarm: Alarm, path: str) -> bool:
        """Whether this way waits for a failure that did not come: one that is asked before it has confirmed."""
        order = {name: priority for priority, name in alarm_ways(self.site)}
        heard = [order[name] for name, stage in alarm.stages.items() if stage in FROM_AFAR and name in order]
        untried = alarm.stages.get(path, Stage.QUEUED) is Stage.QUEUED
        return untried and bool(heard) and order.get(path, 0) > min(heard)

    def alarm_paths(self, alarm: Alarm) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*(path.id for path in self.p.paths), *alarm.stages)))

    def place(self, device: Device) -> str:
        return place(device, self.w)

    @staticmethod
    def drift(bollard: Bollard) -> int | None:
        return rise_drift_percent(bollard)
