"""The gate for Prometheus, in its text format. A value nobody has measured is left out, never 0."""

from __future__ import annotations

from collections.abc import Iterable

from agent.core.words import ClockTrust, Contact, Journal, Line, Position
from agent.picture import Campus, Picture
from agent.web.feed import Feed

TYPE = "text/plain; version=0.0.4; charset=utf-8"
POSITIONS = (Position.UP, Position.DOWN, Position.MOVING, Position.FAULT, Position.UNKNOWN)


class Page:
    """Collects samples family by family."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, text: str, samples: Iterable[tuple[dict[str, str], float | bool | None]]) -> None:
        known = [(labels, value) for labels, value in samples if value is not None]
        self._lines += [f"# HELP menwei_{name} {text}", f"# TYPE menwei_{name} gauge"]
        self._lines += [f"menwei_{name}{_labels(labels)} {_number(value)}" for labels, value in known]

    def one(self, name: str, text: str, value: float | bool | None) -> None:
        self.family(name, text, [({}, value)])

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float | bool) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def render(feed: Feed) -> str:
    """All metrics. While control is gone only that is told: what was measured is not known any more."""
    page = Page()
    page.one("control_up", "Whether the control program tells its state.", feed.contact.up)
    if feed.contact.up:
        _box(page, feed.picture)
        _panic(page, feed.picture)
        _gate(page, feed.picture)
        _uplink(page, feed.picture)
        _presses(page, feed.picture)
        if feed.picture.campus is not None:
            _school(page, feed.picture.campus, feed.picture.wall_ms)
    return page.text()


def _box(page: Page, p: Picture) -> None:
    page.one("scanned", "Whether every input was read since the start.", p.scanned)
    page.one("clock_trusted", "Whether the wall clock is synchronised.", p.clock.trust == ClockTrust.TRUSTED)
    page.one("control_turn_seconds", "Last turn of the control loop.", None if p.turn_ms is None else p.turn_ms / 1000)
    page.family("device_up", "Whether a device answers.", (({"device": d.id}, d.up) for d in p.devices))
    page.family("supply_ok", "Mains, battery and cabinet door.", (({"supply": s.which}, s.ok) for s in p.supplies))
    page.one("outputs_disobeying", "Outputs that do not read back as commanded.", len(p.outputs))


def _panic(page: Page, p: Picture) -> None:
    page.one("panic_latched", "Whether a panic alarm is latched.", p.panic.latched)
    page.one("panic_alarms_open", "Open alarms.", len(p.panic.alarms))
    page.one("lockdown", "Whether the way in is locked down.", p.panic.lockdown)
    lines = [({"button": button.id}, _whole(button.line)) for button in p.panic.buttons]
    page.family("panic_line_good", "Whether a panic button's line is whole.", lines)
    page.one("fire_latched", "Whether a fire release is latched.", p.fire.latched)
    page.one("fire_input", "Whether the fire panel's contact is active.", p.fire.input)


def _whole(line: Line) -> bool | None:
    return None if line == Line.UNREAD else line in (Line.NORMAL, Line.PRESSED)


def _gate(page: Page, p: Picture) -> None:
    page.family("lane_lost", "Whether a lane cannot be read.", (({"lane": lane.id}, lane.lost) for lane in p.lanes))
    page.family("lane_closed", "Closed after a fault.", (({"lane": lane.id}, lane.closed) for lane in p.lanes))
    bollards = [(lane.id, b) for lane in p.lanes for b in lane.bollards]
    page.family(
        "bollard_position",
        "1 for the measured position of a bollard.",
        (
            ({"lane": lane, "bollard": b.id, "position": position.value}, b.position == position)
            for lane, b in bollards
            for position in POSITIONS
        ),
    )
    page.family("bollard_cycles", "Cycle count.", (({"lane": lane, "bollard": b.id}, b.cycles) for lane, b in bollards))
    rises = (({"lane": lane, "bollard": b.id}, None if b.rise_ms is None else b.rise_ms / 1000) for lane, b in bollards)
    page.family("bollard_rise_seconds", "Last complete rise.", rises)
    opened = (({"door": d.id}, None if d.contact == Contact.UNREAD else d.contact == Contact.OPEN) for d in p.doors)
    page.family("door_open", "Whether a door stands open.", opened)
    page.family("door_locked", "Whether the lock reads back as locked.", (({"door": d.id}, d.lock) for d in p.doors))


def _uplink(page: Page, p: Picture) -> None:
    page.family("uplink_up", "Whether an uplink path is up.", (({"path": path.id}, path.up) for path in p.paths))
    page.family("uplink_backlog", "Records not yet confirmed.", (({"path": path.id}, path.backlog) for path in p.paths))
    given_up = (({"path": path.id}, path.given_up) for path in p.paths)
    page.family("uplink_given_up", "Alarm messages given up since the start: too many waited.", given_up)
    counts = {"done": p.orders.done, **p.orders.refused}
    page.family("district_commands", "Signed commands by outcome.", (({"outcome": o}, n) for o, n in counts.items()))
    page.one("district_keys", "Keys of the district that this box knows.", p.orders.keys)
    j = p.journal
    page.one("journal_ok", "Whether the journal writes.", None if j.health is None else j.health == Journal.OK)
    page.one("journal_head", "Newest record.", j.head)
    page.one("journal_durable", "Newest record on disk.", j.durable)
    page.one("journal_synced", "Newest record the far side has confirmed.", j.synced)
    page.one("journal_bytes", "Size of the journal file.", j.size_bytes)
    page.one("journal_headroom_days", "Days of records there is room for.", j.headroom_days)
    page.one("journal_card_used_percent", "How full the journal's card is.", j.used_percent)
    page.one("journal_signed_size", "Records under the newest checkpoint.", j.signed_size)
    page.one("journal_anchored_size", "Records under the far side's checkpoint that agrees.", j.anchored_size)


def _presses(page: Page, p: Picture) -> None:
    marks = ("0.5", "p50_us"), ("0.9", "p90_us"), ("0.99", "p99_us"), ("1", "max_us")
    times = (
        ({"hop": figures.hop.removesuffix("_us"), "quantile": quantile}, getattr(figures, field) / 1e6)
        for figures in p.hops
        for quantile, field in marks
    )
    page.family("press_seconds", "From the edge of a panic button to each hop, over the last presses.", times)
    counts = (({"hop": figures.hop.removesuffix("_us")}, figures.count) for figures in p.hops)
    page.family("press_samples", "Presses behind these times.", counts)


def _school(page: Page, c: Campus, wall_ms: int) -> None:
    page.family("post_needed", "Whether a post must be manned now.", (({"post": p.id}, p.needed) for p in c.posts))
    page.family("post_manned", "Whether a guard is on a post.", (({"post": p.id}, p.manned) for p in c.posts))
    page.one("patrols_today", "Patrols of today.", c.today.patrols if c.today is not None else None)
    page.one("panic_test_days", "Whole days since the last panic test.", c.today.test_days if c.today else None)
    page.one("visits_open", "Visits that are not over.", c.book.visits)
    page.one("visits_too_long", "Visitors who have not left in time.", c.book.overstays)
    page.one("hazards_open", "Open entries of the hazard ledger.", c.book.hazards)
    page.one("hazards_overdue", "Open entries past their day.", c.book.hazards_overdue)
    page.one("policy_version", "The school's policy in force.", c.version)
    page.one("policy_age_days", "Days since it was made.", (wall_ms - c.made_ms) // 86_400_000)
