"""What a by-stander has seen of one lane: readings, who asked, what was sent, where each bollard was last proven."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from agent.core.events import Command, DeviceLost, KeyInput, LaneReading, MotionSent
from agent.core.outputs import LaneOutputs, MotionRequest
from agent.core.rules import LaneRules
from agent.core.words import Hold, Mode, Motion, Rank, Sensor, Sent

if TYPE_CHECKING:
    from agent.core.invariant import Step

LANE_EVENTS = (Command, KeyInput, MotionSent, DeviceLost)
UP, DOWN = "up", "down"
BOTH_WAYS = frozenset((UP, DOWN))
ASK_LASTS_S = 4.0  # an asking is answered or over: warning read back in 1 s, pre-warning after it, and some slack


def is_fire_key(step: Step, key_id: str) -> bool:
    return any(key.id == key_id and key.use == "fire_key" for key in step.new.rules.keys)


class BollardFacts:
    """One bollard: `end` is the last end a switch proved; `licence` the ways it may move on our account."""

    __slots__ = (
        "between_since",
        "end",
        "held",
        "left",
        "licence",
        "obstructed",
        "rising",
        "stray_from",
        "stray_since",
        "token",
    )

    def __init__(self) -> None:
        self.end = ""
        self.left = False  # it has left an end since its last token
        self.licence: frozenset[str] = frozenset()
        self.rising = False  # a raise of ours went out (or may have) and no end, hold or loss has ended it
        self.held = Hold.NONE
        self.obstructed = 0  # rises turned round over a sensor, in a row
        self.stray_since: float | None = None
        self.stray_from = ""
        self.between_since: float | None = None  # neither switch, and nothing asked since
        self.token = 0

    @property
    def stirs(self) -> bool:
        return self.rising or self.held is not Hold.NONE or self.stray_since is not None


class Ask:
    """Somebody asked for a motion: who, when, and the button that must stay held for it."""

    __slots__ = ("at", "key", "motion", "rank")

    def __init__(self, at: float, motion: Motion, rank: Rank, key: str = "") -> None:
        self.at = at
        self.motion = motion
        self.rank = rank
        self.key = key


class LaneFacts:
    __slots__ = (
        "asks",
        "bollards",
        "clear_since",
        "fire_key",
        "keys",
        "link",
        "mode",
        "picture",
        "read_at",
        "reading",
        "rules",
        "sent",
        "shown",
        "stirs",
        "warning_asked_since",
        "warning_seen_since",
    )

    def __init__(self, rules: LaneRules) -> None:
        self.rules = rules
        self.reading: LaneReading | None = None
        self.read_at = float("-inf")
        self.link = False
        self.mode = Mode.UNKNOWN
        self.fire_key = False
        self.clear_since: dict[str, float] = {}
        self.warning_seen_since: float | None = None  # read back as on, or not to be read back, without a break
        self.warning_asked_since: float | None = None
        self.keys: dict[str, bool | None] = {}  # as last told; only a turn that was seen asks
        self.asks: list[Ask] = []  # what may still be answered, oldest first
        self.shown: tuple[MotionRequest, ...] = ()  # open tokens of the picture before
        self.sent: set[tuple[str, int]] = set()  # tokens whose end was told, until the next of that bollard
        self.bollards = {bollard.id: BollardFacts() for bollard in rules.bollards}
        self.picture: LaneOutputs | None = None  # what was last asked of the lane
        self.stirs = False  # something rises, is held or has strayed, or somebody asked

    # ── what happened ──────────────────────────────────────────────────────────────────────────────────────────────

    def see(self, step: Step) -> None:
        """One of LANE_EVENTS; a reading has its own way."""
        event = step.event
        if isinstance(event, Command):
            if event.args.get("lane") == self.rules.id:
                self._see_command(event, step.now.mono_s)
        elif isinstance(event, KeyInput):
            self._see_key(event, step.now.mono_s, is_fire_key(step, event.key))
        elif isinstance(event, MotionSent):
            if event.lane == self.rules.id:
                self._see_sent(event)
        elif isinstance(event, DeviceLost) and event.device in (f"lane:{self.rules.id}", f"bus:{self.rules.bus}"):
            self._lose()

    def _see_command(self, event: Command, at: float) -> None:
        if event.verb == "stop":
            self.asks.clear()
        elif event.verb in ("raise", "lower"):
            self.asks.append(Ask(at, Motion(event.verb), event.rank))
            self.stirs = True

    def _see_key(self, event: KeyInput, at: float, is_fire_key: bool) -> None:
        was, self.keys[event.key] = self.keys.get(event.key), event.on
        if not event.on:
            self.asks = [ask for ask in self.asks if ask.key != event.key]
        if event.on is not True or was is not False:
            return
        for motion in (Motion.RAISE, Motion.LOWER):
            if event.key == f"lane:{self.rules.id}:{motion.value}":
                self.asks.append(Ask(at, motion, Rank.HOLD_TO_RUN, event.key))
        if is_fire_key:
            self.asks.append(Ask(at, Motion.LOWER, Rank.FIRE_KEY))
        self.stirs = self.stirs or bool(self.asks)

    def asked(self, motion: Motion, ranks: Collection[Rank] = tuple(Rank)) -> bool:
        """Whether somebody of these ranks asked for this motion and has not been answered yet."""
        return any(ask.motion is motion and ask.rank in ranks for ask in self.asks)

    def _see_sent(self, event: MotionSent) -> None:
        self.sent.add((event.bollard, event.token))
        bollard = self.bollards.get(event.bollard)
        if bollard is not None and event.token == bollard.token and event.outcome in (Sent.EXPIRED, Sent.REFUSED):
            bollard.rising = False
            bollard.licence = frozenset()

    def _lose(self) -> None:
        self.link = False
        self.mode = Mode.UNKNOWN
        self.clear_since.clear()
        self.warning_seen_since = None
        for bollard in self.bollards.values():
            if bollard.rising or bollard.held is not Hold.NONE or bollard.between_since is not None:
                bollard.end = ""
            bollard.rising = False
            bollard.between_since = None

    # ── a reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def see_reading(self, event: LaneReading, at: float) -> None:
        read_at = min(event.read_at, at)
        if read_at < self.read_at:
            return
        if not event.heartbeat_ok:
            self._lose()
            return
        gap = read_at - self.read_at
        if gap > self.rules.lost_s:
            self._lose()
        self.reading, self.read_at, self.link = event, read_at, True
        self.mode = Mode.ESTOP if event.estop else event.mode
        self.fire_key = event.fire_key
        for name in self.rules.sensors:
            if event.sensors.get(name) is not Sensor.CLEAR:
                self.clear_since.pop(name, None)
            elif name not in self.clear_since or gap > self.rules.stale_s:
                self.clear_since[name] = read_at
        if event.warning_on is False:
            self.warning_seen_since = None
        elif self.warning_seen_since is None:
            self.warning_seen_since = read_at
        for name, bollard in self.bollards.items():
            self._see_bollard(name, bollard, event, read_at)

    def _see_bollard(self, name: str, bollard: BollardFacts, event: LaneReading, read_at: float) -> None:
        seen = event.bollards.get(name)
        if seen is None or (seen.up and seen.down):
            return
        if self.mode is not Mode.REMOTE:
            bollard.rising = False
        end = UP if seen.up else DOWN if seen.down else ""
        if end:
            bollard.between_since = None
        elif bollard.between_since is None:
            bollard.between_since = read_at
        if bollard.end and end != bollard.end:
            self._see_it_gone(name, bollard, read_at)
        elif end and end == bollard.stray_from:
            bollard.stray_since = None
        if end:
            self._see_it_there(bollard, end)

    def _see_it_gone(self, name: str, bollard: BollardFacts, read_at: float) -> None:
        way = UP if bollard.end == DOWN else DOWN
        if way not in bollard.licence and not self._out_of_our_hands(name) and bollard.stray_since is None:
            bollard.stray_since, bollard.stray_from = read_at, bollard.end
            self.stirs = True
        bollard.end = ""
        bollard.left = True

    def _see_it_there(self, bollard: BollardFacts, end: str) -> None:
        """An end reached uses up the leave to move; a hold renews it for as long as it lasts."""
        if end != bollard.end and bollard.held is Hold.NONE:
            bollard.licence = frozenset()
        bollard.licence -= {end}
        bollard.end = end
        if end == UP:
            bollard.obstructed = 0
        if end == UP or bollard.left:
            bollard.rising = False

    def _out_of_our_hands(self, name: str) -> bool:
        commissioned = any(b.id == name and b.commissioned for b in self.rules.bollards)
        return self.mode in (Mode.LOCAL, Mode.HAND) or self.fire_key or self.rules.monitor_only or not commissioned

    # ── what the core asked ────────────────────────────────────────────────────────────────────────────────────────

    def new_tokens(self, step: Step) -> list[tuple[LaneFacts, MotionRequest]]:
        """Tokens of this lane in the picture that were not in the one before."""
        return [(self, m) for m in step.outputs.motions if m.lane == self.rules.id and m not in self.shown]

    def is_repeated(self, token: MotionRequest) -> bool:
        """Whether it carries the number of the last one of its bollard: nothing new is asked by it."""
        bollard = self.bollards.get(token.bollard)
        return bollard is not None and bollard.token == token.token

    def stirring(self, picture: LaneOutputs) -> list[tuple[LaneFacts, str, BollardFacts, Hold]]:
        """The bollards that rise, are held or have strayed, with the hold that is now asked of each."""
        return [
            (self, name, bollard, picture.hold[name])
            for name, bollard in self.bollards.items()
            if bollard.stirs or picture.hold[name] is not Hold.NONE
        ]

    def keep(self, step: Step) -> None:
        """To be called unless nothing stirs, no token is or was shown, the picture is the same and nobody commands."""
        picture, at = step.outputs.lanes[self.rules.id], step.now.mono_s
        self.picture = picture
        if not picture.warning:
            self.warning_asked_since = None
        elif self.warning_asked_since is None:
            self.warning_asked_since = at
        for name, hold in picture.hold.items():
            if hold is not Hold.NONE or self.bollards[name].held is not Hold.NONE:
                self._keep_hold(self.bollards[name], hold, at)
        fresh = [motion for lane, motion in step.facts.fresh if lane is self]
        for motion in fresh:
            self._keep_token(motion, at)
        self.shown = tuple(m for m in step.outputs.motions if m.lane == self.rules.id)
        self._keep_answers(step, {m.motion for m in fresh}, at)
        self.stirs = bool(self.asks) or any(bollard.stirs for bollard in self.bollards.values())

    def _keep_answers(self, step: Step, answered: set[Motion], at: float) -> None:
        if step.new.lanes[self.rules.id].closed:
            for bollard in self.bollards.values():
                bollard.stray_since = None
        if isinstance(step.event, Command) and any(record.kind == "lane.cleared" for record in step.records):
            self._keep_clearing(step.event)
        if self.asks:
            self._end_asks(step, answered, at)

    def _keep_token(self, motion: MotionRequest, at: float) -> None:
        bollard = self.bollards[motion.bollard]
        bollard.token = motion.token
        bollard.left = False
        self.sent.discard((motion.bollard, motion.token))
        bollard.rising = motion.motion is not Motion.LOWER
        way = UP if bollard.rising else DOWN
        bollard.licence = bollard.licence | {way}
        if bollard.between_since is not None:
            bollard.between_since = at

    def _keep_hold(self, bollard: BollardFacts, hold: Hold, at: float) -> None:
        if hold is Hold.LOWER and bollard.held is not Hold.LOWER:
            bollard.obstructed += bollard.rising and bool(self.sensor_trouble(at))
        if hold is not Hold.NONE:
            bollard.rising = False
            bollard.licence = BOTH_WAYS
            if bollard.between_since is not None and bollard.held is not hold:
                bollard.between_since = at
        else:
            bollard.licence = frozenset()
        bollard.held = hold

    def _keep_clearing(self, event: Command) -> None:
        """A person has looked at the lane: what was in a row is no longer."""
        if event.args.get("lane") == self.rules.id:
            for bollard in self.bollards.values():
                bollard.obstructed = 0

    def _end_asks(self, step: Step, answered: set[Motion], at: float) -> None:
        """An asking ends with its token, its refusal, or time. What this step's own event asked is the newest."""
        limit = ASK_LASTS_S + max(1.0, self.rules.prewarn_s)
        asks = [ask for ask in self.asks if ask.motion not in answered and at - ask.at <= limit]
        for record in step.records:
            if record.kind == "lane.refused" and record.subject == f"lane:{self.rules.id}":
                newest = isinstance(step.event, Command | KeyInput) and record.data["why"] != "overruled"
                same = [ask for ask in asks if ask.motion.value == record.data["verb"]]
                over = same[-1:] if newest else [ask for ask in same if ask.at < at]
                asks = [ask for ask in asks if ask not in over]
        self.asks = asks

    # ── judgements that several invariants share; none of them is the core's ───────────────────────────────────────

    def sensor_trouble(self, at: float, clear_s: float = 0.0) -> str:
        """Why the sensors forbid a rise at this instant, in a phrase; "" when they do not."""
        if not self.rules.sensors:
            return "no sensor at all"
        if not self.link or self.reading is None:
            return "no link"
        age = at - self.read_at
        if age > self.rules.stale_s + 1e-9:
            return f"sensors are {age * 1000:.0f} ms old"
        for name in self.rules.sensors:
            since = self.clear_since.get(name)
            if since is None:
                return f"{name} is {self.reading.sensors.get(name, Sensor.UNREAD).value}"
            if self.read_at - since < clear_s - 1e-6:
                return f"{name} has been clear for {self.read_at - since:.2f} s only"
        return ""
