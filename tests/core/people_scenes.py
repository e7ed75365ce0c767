"""A gate in virtual time for the people's side of the core: every step judged by every invariant."""

from __future__ import annotations

from collections.abc import Iterable

from agent.core import box
from agent.core.crowd import Mark
from agent.core.events import (
    AlarmStage,
    BollardReading,
    CardRead,
    Command,
    DoorContact,
    Event,
    FireInput,
    InsideRecalled,
    KeyInput,
    LaneReading,
    Now,
    PanicLine,
    ScanComplete,
    Seq,
    Started,
    SupplyInput,
    Tick,
)
from agent.core.invariants import Violation, Watch
from agent.core.outputs import Level, Outputs
from agent.core.records import Record, encode
from agent.core.rules import (
    BollardRules,
    BoxRules,
    CredentialRules,
    DoorRules,
    KeyRules,
    LaneRules,
    ReaderRules,
)
from agent.core.state import BoxState
from agent.core.words import ClockTrust, Contact, Line, Mode, Rank, Sensor, Stage

WALL_MS = 1_790_000_000_000  # 2026-09-21T13:33:20Z
DAY_MS = 86_400_000
BOTH_DOORS = frozenset({"wicket", "gatehouse"})


def _credential(card: str, holder: str, group: str, doors: Iterable[str], **limits: int) -> CredentialRules:
    return CredentialRules(
        card=f"uart-125k:{card}",
        holder=holder,
        group=group,
        doors=frozenset(doors),
        lanes=frozenset({"main"}) if group in ("staff", "responder", "vehicle") else frozenset(),
        valid_from_ms=limits.get("valid_from_ms", 0),
        valid_to_ms=limits.get("valid_to_ms", 0),
        banned=bool(limits.get("banned", 0)),
    )


GUARD, STAFF, PUPIL = "uart-125k:0100A1B2C3", "uart-125k:0100A1B2C4", "uart-125k:0200000001"
RESPONDER, EXPIRED, FUTURE = "uart-125k:0300000001", "uart-125k:0400000001", "uart-125k:0500000001"
BANNED, UNKNOWN = "uart-125k:0600000001", "uart-125k:0900000009"

_CREDENTIALS = (
    _credential("0100A1B2C3", "guard-1", "guard", BOTH_DOORS),
    _credential("0100A1B2C4", "staff-1", "staff", {"wicket"}),
    _credential("0200000001", "pupil-1", "pupil", {"wicket"}),
    _credential("0300000001", "responder-1", "responder", BOTH_DOORS),
    _credential("0400000001", "contractor-1", "contractor", {"wicket"}, valid_to_ms=WALL_MS - DAY_MS),
    _credential("0500000001", "contractor-2", "contractor", {"wicket"}, valid_from_ms=WALL_MS + DAY_MS),
    _credential("0600000001", "staff-2", "staff", BOTH_DOORS, banned=1),
)

RULES = BoxRules(
    site_box="school/gate-1",
    lanes=(
        LaneRules(
            id="main",
            bollards=(BollardRules(id="main-1", commissioned=True), BollardRules(id="main-2", commissioned=True)),
            sensors=("loop1", "beam"),
            monitor_only=False,
            service=False,
            entry=True,
            rise_s=4.0,
            lower_s=3.0,
            efo_s=1.5,
            prewarn_s=3.0,
            clear_s=3.0,
            efo_clear_s=1.0,
        ),
    ),
    doors=(
        DoorRules(
            id="wicket",
            lock_kind="fail_safe",
            evacuation_way=True,
            unlock_s=5.0,
            held_open_s=30.0,
        ),
        DoorRules(
            id="gatehouse",
            lock_kind="fail_secure",
            evacuation_way=False,
            unlock_s=5.0,
            held_open_s=30.0,
        ),
    ),
    readers=(
        ReaderRules(id="wicket-in", door="wicket", lane="", direction="in"),
        ReaderRules(id="wicket-out", door="wicket", lane="", direction="out"),
        ReaderRules(id="house-in", door="gatehouse", lane="", direction="in"),
        ReaderRules(id="house-out", door="gatehouse", lane="", direction="out"),
        ReaderRules(id="lane-in", door="", lane="main", direction="in"),
        ReaderRules(id="guard", door="", lane="", direction="presence"),
    ),
    buttons=("gatehouse", "wicket", "office"),
    keys=(
        KeyRules(id="panic-reset", use="panic_reset"),
        KeyRules(id="fire", use="fire_key"),
        KeyRules(id="fire-reset", use="fire_reset"),
    ),
    credentials={credential.card: credential for credential in _CREDENTIALS},
    paths=("mqtt", "dc09"),
    lamps=("sent", "received", "coming", "fault"),
    has_fire=True,
    panic_raises_bollards=True,
    panic_audible=False,
    fire_lowers_service_lane=True,
)


def reading(at: float, lane: str = "main", **changes: object) -> LaneReading:
    """A quiet lane: bollards down, nothing on it, in remote."""
    down = BollardReading(up=False, down=True, moving=False, token=0)
    plain: dict[str, object] = {
        "lane": lane,
        "read_at": at,
        "mode": Mode.REMOTE,
        "bollards": {"main-1": down, "main-2": down},
        "sensors": {"loop1": Sensor.CLEAR, "beam": Sensor.CLEAR},
        "warning_on": False,
        "heartbeat_ok": True,
    }
    return LaneReading(**(plain | changes))  # type: ignore[arg-type]


class Gate:
    """A gate one plays upon. Violations are kept, and asserted by `judge`d gates at once."""

    def __init__(self, rules: BoxRules = RULES, *, strict: bool = True, lane_alive: bool = False) -> None:
        self.rules = rules
        self.state: BoxState = box.start(rules)
        self.mono_s = 100.0
        self.wall_ms = WALL_MS
        self.trust = ClockTrust.TRUSTED
        self.records: list[Record] = []
        self.violations: list[Violation] = []
        self.strict = strict
        self.lane_alive = lane_alive
        self._watch = Watch()
        self._ids = 0

    @property
    def now(self) -> Now:
        return Now(self.mono_s, self.wall_ms, self.trust)

    def send(self, event: Event) -> tuple[Record, ...]:
        """One step, judged."""
        now, old = self.now, self.state
        self.state, records = box.step(old, event, now)
        outputs = box.desired(self.state, now)
        found = self._watch.look(old, event, now, self.state, records, outputs)
        self.violations += found
        assert not (self.strict and found), f"{type(event).__name__}: {found}"
        for record in records:
            encode(record)
        self.records += records
        return records

    def wait(self, seconds: float) -> list[Record]:
        """Let time pass, with a tick at every deadline on the way (and readings of a living lane)."""
        end, before = self.mono_s + seconds, len(self.records)
        next_reading = self.mono_s + 0.1
        while True:
            due = box.next_deadline(self.state)
            if self.lane_alive:
                due = min(due, next_reading)
            if due > end:
                break
            self._go_to(max(due, self.mono_s))
            if self.lane_alive and due == next_reading:
                next_reading += 0.1
                self.send(reading(self.mono_s))
            else:
                self.send(Tick())
                assert box.next_deadline(self.state) > self.mono_s, "a tick left its own deadline behind"
        self._go_to(end)
        return self.records[before:]

    def _go_to(self, mono_s: float) -> None:
        self.wall_ms += round((mono_s - self.mono_s) * 1000)
        self.mono_s = mono_s

    # ── a start ────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, latched: dict[str, object] | None = None, ref: Seq | None = None) -> Gate:
        """Boot, first scan with everything well, first full scan done."""
        self.boot(latched, ref)
        self.scan()
        return self

    def boot(self, latched: dict[str, object] | None = None, ref: Seq | None = None) -> None:
        self.send(Started("boot-1", latched, ref, "power"))

    def scan(self, pressed: tuple[str, ...] = ()) -> None:
        for button in self.rules.buttons:
            self.line(button, Line.PRESSED if button in pressed else Line.NORMAL)
        for door in self.rules.doors:
            self.send(DoorContact(door.id, Contact.CLOSED))
        for key in self.rules.keys:
            self.send(KeyInput(key.id, False))
        if self.rules.has_fire:
            self.send(FireInput(False))
        self.send(SupplyInput("tamper", True))
        self.send(SupplyInput("mains", True))
        self.send(SupplyInput("battery", True))
        if self.rules.lanes:
            self.send(reading(self.mono_s))
        self.send(ScanComplete())

    def restart(self, inside: tuple[tuple[str, Mark], ...] = ()) -> Gate:
        """A new process from what this one wrote: nothing but records survives."""
        kept = [record for record in self.records if record.kind == "box.latched"]
        again = Gate(self.rules, strict=self.strict)
        again.state = box.start(self.rules, epoch=self.state.epoch, next_seq=self.state.next_seq)
        again.mono_s, again.wall_ms, again.trust = 7.0, self.wall_ms + 5000, self.trust
        again.boot(dict(kept[-1].data) if kept else None, kept[-1].ref if kept else None)
        again.send(InsideRecalled(inside))
        return again

    # ── people ─────────────────────────────────────────────────────────────────────────────────────────────────

    def line(self, button: str, line: Line) -> tuple[Record, ...]:
        return self.send(PanicLine(button, line, self.mono_s))

    def press(self, button: str = "gatehouse", hold_s: float = 0.3) -> tuple[Record, ...]:
        """Press and let go; the records are those of the press itself."""
        records = self.line(button, Line.PRESSED)
        self.wait(hold_s)
        self.line(button, Line.NORMAL)
        return records

    def card(self, reader: str, card: str) -> tuple[Record, ...]:
        return self.send(CardRead(reader, card))

    def turn(self, key: str) -> tuple[Record, ...]:
        """Turn a key switch on and back."""
        records = self.send(KeyInput(key, True))
        self.send(KeyInput(key, False))
        return records

    def command(self, verb: str, rank: Rank = Rank.CONSOLE, **args: str) -> tuple[Record, ...]:
        """A command with an id of its own."""
        return self.ask(verb, args, rank)

    def ask(self, verb: str, args: dict[str, str], rank: Rank = Rank.CONSOLE, id: str = "") -> tuple[Record, ...]:
        self._ids += 1
        return self.send(Command(id or f"c{self._ids}", rank, "desk", verb, args))

    def order(self, verb: str, id: str = "", lasts_s: float = 60.0, **args: str) -> tuple[Record, ...]:
        """A signed command of the far side, given now."""
        self._ids += 1
        expires_ms = self.wall_ms + round(lasts_s * 1000)
        ident = id or f"s{self._ids}"
        return self.send(Command(ident, Rank.UPSTREAM, "upstream:k1", verb, args, self.wall_ms, expires_ms))

    def announce(self, button: str = "gatehouse", minutes: str = "5") -> Seq:
        """A guard on site announces a drill; returns the announcement's record."""
        self.card("guard", GUARD)
        records = self.command("drill_start", button=button, minutes=minutes, reason="monthly_test")
        assert kinds(records)[:2] == ["command.done", "drill.started"]
        return records[1].ref

    def drill(self, button: str = "gatehouse", minutes: str = "5") -> None:
        """A drill that the district has heard of."""
        ref = self.announce(button, minutes)
        assert "drill.running" in kinds(self.send(AlarmStage(ref, "mqtt", Stage.RECEIVED, "district")))

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def outputs(self) -> Outputs:
        return box.desired(self.state, self.now)

    def lamp(self, name: str) -> bool:
        return self.outputs.lamps[name].on

    def lock(self, door: str) -> Level:
        return self.outputs.locks[door]

    def of(self, kind: str) -> list[Record]:
        return [record for record in self.records if record.kind == kind]


def kinds(records: Iterable[Record]) -> list[str]:
    """The kinds of the records, without the picture that is written whenever something latched changes."""
    return [record.kind for record in records if record.kind != "box.latched"]
