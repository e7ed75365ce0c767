"""The controller of one lane: what a bollard PLC does by itself, whatever the agent asks.

It is the safety function of the lane: it refuses a raise over an occupied, faulty or just cleared sensor, lowers on
obstruction, stops at e-stop, obeys nobody but its own panel in local and hand mode, and takes no remote request once
the heartbeat has stood still for 2 s. It acts on a request token once. A move that was lawfully begun is finished under
these same interlocks when the heartbeat stops: stopping half-way would leave neither a way nor a barrier.
"""

from __future__ import annotations

from hardware.profiles import BollardProfile
from hardware.site import Lane as LaneSite
from sim.agenda import NEVER, Agenda, Due
from sim.bollard import Bollard
from sim.faults import FaultBook
from sim.ground import Ground, Place, SensorName
from sim.signs import BollardSigns, Emit, Hold, LaneSigns, Mode, Motion

REMOTE_ENABLE_S = 2.0  # domain rules section 4: remote enable drops after 2 s without a change of the heartbeat
TRAVEL_LIMIT = 2.0  # D: the PLC's own time-out, behind the agent's 1.5 times nominal
FAULT_TRAVEL, FAULT_SWITCHES = 1, 2  # fault codes of docs/plc-map.md; 3 and up come from the drive
HARM_S = 0.5  # D: a rise not turned round this long after someone stepped in counts as harm


class Post:
    """What the controller remembers of one bollard."""

    __slots__ = ("bollard", "creep", "fault", "hold", "limit", "token")

    def __init__(self, bollard: Bollard) -> None:
        self.bollard = bollard
        self.token = 0
        self.hold: Hold = "none"
        self.fault = 0
        self.limit: Due | None = None
        self.creep: Due | None = None


class Lane:
    """A lane as it stands: ground, bollards, lights, and the controller's program."""

    def __init__(self, site: LaneSite, profile: BollardProfile, agenda: Agenda, book: FaultBook, emit: Emit) -> None:
        self.site = site
        self.id = site.id
        self.profile = profile
        self.supervised = profile.registers is not None  # reference PLC: heartbeat, tokens, mode, sensors of its own
        self.faults = book.on(f"lane:{site.id}")
        self.mode: Mode = "remote"
        self.estop = False
        self.fire_key = False
        self.lights = {"red": False, "green": False, "warning_lamp": False, "buzzer": False}  # as they burn
        self.posts: dict[str, Post] = {}
        for bollard in site.bollard:
            self.posts[bollard.id] = Post(Bollard(bollard.id, agenda, book.on(f"bollard:{bollard.id}"), self._on_end))
        terminals: dict[SensorName, str] = {
            "loop1": site.sensors.loop1, "loop2": site.sensors.loop2,
            "beam": site.sensors.beam, "pressure": site.sensors.pressure,
        }  # fmt: skip
        self.sensor_terminals = {name: terminal for name, terminal in terminals.items() if terminal}
        self.seen = tuple(name for name, terminal in self.sensor_terminals.items() if terminal == "plc")
        sensor_faults = {name: book.on(f"sensor:{site.id}:{name}") for name in self.sensor_terminals}
        self.ground = Ground(tuple(self.sensor_terminals), sensor_faults, self._on_sensor)
        self.outputs = (False, False, False)  # red, green, warning as the controller drives them
        self._agenda = agenda
        self._emit = emit
        self._frozen: LaneSigns | None = None
        self._keep_alive = False
        self._boot_until_s = -NEVER
        self._warned_s = -NEVER
        self._clear_since_s = -NEVER
        self._forget()

    def _forget(self) -> None:
        """What a controller does not remember over a restart. A token it has never seen is not a request to it."""
        self.beat = 0
        self._beat_s = -NEVER
        self.enabled = False
        self._beat_check: Due | None = None
        for post in self.posts.values():
            post.token, post.hold, post.fault = 0, "none", 0
            self._stop(post)
            post.bollard.efo = False

    # ── what the controller is asked over its link ─────────────────────────────────────────────────────────────────

    @property
    def booting(self) -> bool:
        """While it boots it answers nothing."""
        return self._agenda.now_s < self._boot_until_s

    @property
    def obeys(self) -> bool:
        """Whether a request from afar can move anything now."""
        if self.booting or self.estop:
            return False
        return not self.supervised or (self.mode == "remote" and self.enabled)

    def heartbeat(self, value: int) -> None:
        """The heartbeat register is written; remote enable holds for 2 s after each change."""
        if value == self.beat:
            return
        self.beat = value
        self._beat_s = self._agenda.now_s
        self.enabled = True
        if self._beat_check is None:
            self._beat_check = self._agenda.at(self._beat_s + REMOTE_ENABLE_S, self._check_beat)

    def keep_alive(self, on: bool) -> None:
        """For virtual time: as long as on, the heartbeat counts as changing, without an event for each beat."""
        self._keep_alive = on
        self._beat_s = self._agenda.now_s
        self.enabled = self.enabled or on
        if not on and self.enabled and self._beat_check is None:
            self._beat_check = self._agenda.at(self._beat_s + REMOTE_ENABLE_S, self._check_beat)

    def _check_beat(self) -> None:
        self._beat_check = None
        if self._keep_alive or self.booting:
            return
        due_s = self._beat_s + REMOTE_ENABLE_S
        if self._agenda.now_s < due_s:
            self._beat_check = self._agenda.at(due_s, self._check_beat)
            return
        self.enabled = False
        for post in self.posts.values():
            post.hold = "none" if post.hold == "lower" else post.hold  # a stop stays, nothing starts when it returns
        self.show(red=True, green=False, warning=False)

    def request(self, bollard: str, motion: Motion | None, token: int) -> None:
        """A request word arrives: acted on once, if its token is new, not 0, and the lane obeys. None: unknown code."""
        post = self.posts[bollard]
        if token == post.token:
            return
        post.token = token
        if token == 0 or motion is None or not self.obeys or post.hold != "none":
            return
        self.command(bollard, motion)

    def command(self, bollard: str, motion: Motion) -> None:
        """Move, if the interlocks let it. A controller without tokens is commanded like this."""
        post = self.posts[bollard]
        if not self.obeys or (motion != "lower" and self.inhibited()):
            return
        self._start(post, motion)
        if motion == "efo":
            self._agenda.at(self._agenda.now_s + HARM_S, lambda: self._check_warned(bollard, 0.0))
        else:
            self._check_warned(bollard, 1.0)

    def hold(self, bollard: str, hold: Hold) -> None:
        """The hold level is written. A stop is obeyed in every mode; a lower only when the lane obeys."""
        post = self.posts[bollard]
        post.hold = hold
        if hold == "stop":
            self._stop(post)
        elif hold == "lower" and self.obeys:
            self._start(post, "lower")

    def show(self, red: bool, green: bool, warning: bool) -> None:
        """Set the controller's light and warning outputs."""
        self.outputs = (red, green, warning)
        site = self.site
        wired = {"red": site.light_red, "green": site.light_green, "warning_lamp": site.warning_lamp,
                 "buzzer": site.buzzer}  # fmt: skip
        for light, on in (("red", red), ("green", green), ("warning_lamp", warning), ("buzzer", warning)):
            if wired[light] == "plc":
                self.light(light, on)

    def inhibited(self) -> str:
        """Why the controller would refuse a raise now, or "" if it would not."""
        if self.fire_key:
            return "fire key"
        for name in self.seen:
            if self.ground.says[name] != "clear":
                return f"{name} {self.ground.says[name]}"
        if self.seen and self._agenda.now_s - self._clear_since_s < self.site.efo_clear_s:
            return "just cleared"
        return ""

    def signs(self) -> LaneSigns:
        """What the controller reports. With the fault "frozen": as of when that began."""
        return self._frozen or self._read()

    def _read(self) -> LaneSigns:
        red, green, warning = self.outputs
        return LaneSigns(
            mode="unknown" if self.booting else self.mode,
            estop=self.estop,
            fire_key=self.fire_key,
            echo=self.beat,
            red=red,
            green=green,
            warning=warning,
            sensors={name: self.ground.says[name] for name in self.seen},
            bollards={id: self._sign(post) for id, post in self.posts.items()},
        )

    def _sign(self, post: Post) -> BollardSigns:
        bollard = post.bollard
        up, down = bollard.up, bollard.down
        fault = FAULT_SWITCHES if up and down else post.fault
        drive = bollard.faults.get("drive")
        if drive is not None:
            fault = int(drive.number("code"))
        return BollardSigns(up, down, bool(bollard.driven), bollard.efo, fault, post.token, bollard.cycles)

    # ── what happens to it ─────────────────────────────────────────────────────────────────────────────────────────

    def select(self, mode: Mode) -> None:
        """The selector is turned, and the e-stop let out. A bollard under way by remote request stops."""
        self.estop = False
        if mode != self.mode:
            self.mode = mode
            self._stop_all()
        self._emit("lane", self.id, mode)

    def press_estop(self) -> None:
        self.estop = True
        self._stop_all()
        self._emit("lane", self.id, "estop")

    def turn_fire_key(self, on: bool) -> None:
        """The fire key on the controller: no raise, and what rises goes down."""
        self.fire_key = on
        if on:
            self._turn_round()
        self._emit("lane", self.id, "fire_key" if on else "fire_key_off")

    def light(self, light: str, on: bool) -> None:
        """A light of the lane burns or not, whoever drives it."""
        if self.lights[light] == on:
            return
        self.lights[light] = on
        if self.warned:
            self._warned_s = self._agenda.now_s
        self._emit("light", f"{self.id}:{light}", on)

    @property
    def warned(self) -> bool:
        """Lamp and buzzer are both on."""
        return self.lights["warning_lamp"] and self.lights["buzzer"]

    def place_vehicle(self, at: Place) -> None:
        self.ground.place_vehicle(at)
        self._emit("vehicle", self.id, at)
        self._watch_harm(HARM_S)

    def place_person(self, at: Place) -> None:
        self.ground.place_person(at)
        self._emit("person", self.id, at)
        self._watch_harm(HARM_S)

    def reboot(self, boot_s: float) -> None:
        """Power cycle of the controller: valves close, outputs drop, everything but the cycle count is forgotten."""
        self._boot_until_s = self._agenda.now_s + boot_s
        self._clear_since_s = self._boot_until_s
        self._forget()
        self.show(red=False, green=False, warning=False)
        self._agenda.at(self._boot_until_s, lambda: self._emit("lane", self.id, "booted"))
        self._emit("lane", self.id, "reboot")

    def fault_changed(self) -> None:
        """Faults of the lane, its sensors or its bollards came or went: let everything look again."""
        if "frozen" not in self.faults:
            self._frozen = None
        elif self._frozen is None:
            self._frozen = self._read()
        self.ground.settle()
        for post in self.posts.values():
            self._settle(post)
        self._emit("lane", self.id, "fault")

    # ── its own program ────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, post: Post, motion: Motion) -> None:
        bollard, site = post.bollard, self.site
        post.fault = 0
        bollard.efo = motion == "efo"
        up, down = bollard.up, bollard.down
        if "drive" in bollard.faults or (down and not up if motion == "lower" else up):
            return
        stroke_s = {"raise": site.rise_s, "efo": site.efo_s, "lower": site.lower_s}[motion]
        bollard.drive("down" if motion == "lower" else "up", stroke_s)
        self._limit(post, stroke_s * TRAVEL_LIMIT)
        if motion != "lower":
            self._watch_harm(0.0)
        self._emit("lane", self.id, motion)

    def _stop(self, post: Post) -> None:
        self._limit(post, 0.0)
        if post.bollard.driven or post.bollard.speed:
            post.bollard.drive("", 0.0)
            self._emit("lane", self.id, "stop")

    def _stop_all(self) -> None:
        for post in self.posts.values():
            self._stop(post)

    def _turn_round(self) -> None:
        for post in self.posts.values():
            if post.bollard.speed > 0 or post.bollard.driven == "up":
                self._start(post, "lower")

    def _limit(self, post: Post, in_s: float) -> None:
        if post.limit is not None:
            post.limit.cancel()
        post.limit = self._agenda.at(self._agenda.now_s + in_s, lambda: self._too_long(post)) if in_s else None

    def _too_long(self, post: Post) -> None:
        if post.bollard.driven:
            self._stop(post)
            post.fault = FAULT_TRAVEL
            self._emit("lane", self.id, "travel_fault")

    def _on_end(self, bollard: Bollard) -> None:
        post = self.posts[bollard.id]
        if bollard.driven and (bollard.up if bollard.driven == "up" else bollard.down):
            bollard.driven = ""
            self._limit(post, 0.0)
        self._emit("lane", self.id, "end")
        self._settle(post)

    def _on_sensor(self, name: SensorName) -> None:
        says = self.ground.says[name]
        terminal = self.sensor_terminals[name]
        if terminal != "plc":
            self._emit("wire", terminal, says == "clear")  # normally closed: an open contact is never "clear"
        elif all(self.ground.says[seen] == "clear" for seen in self.seen):
            self._clear_since_s = self._agenda.now_s
        elif says != "clear" and not self.booting:
            self._turn_round()
        self._emit("sensor", f"{self.id}:{name}", says)

    # ── what goes wrong by itself ──────────────────────────────────────────────────────────────────────────────────

    def _settle(self, post: Post) -> None:
        bollard = post.bollard
        if post.creep is not None:
            post.creep.cancel()
            post.creep = None
        if bollard.driven:
            if "drive" in bollard.faults:
                self._stop(post)
            elif "jammed" in bollard.faults:
                bollard.move(0.0)
            return
        sinks, rises = bollard.faults.get("sinks"), bollard.faults.get("rises_alone")
        if sinks is not None and bollard.position() > 0:
            bollard.move(-1.0 / sinks.number("over_s"))
        elif sinks is None and bollard.speed:
            bollard.move(0.0)
        if rises is not None and bollard.position() == 0:
            after_s = self._agenda.now_s + rises.number("after_s")
            post.creep = self._agenda.at(after_s, lambda: self._rise_alone(post))

    def _rise_alone(self, post: Post) -> None:
        if not self.inhibited() and not self.estop:
            self._start(post, "raise")

    # ── the witness: what no sensor tells, for the judge of a simulation ───────────────────────────────────────────

    def _watch_harm(self, in_s: float) -> None:
        if self.ground.in_harms_way:
            self._agenda.at(self._agenda.now_s + in_s, self._check_harm)

    def _check_harm(self) -> None:
        if self.ground.in_harms_way:
            for id, post in self.posts.items():
                if post.bollard.speed > 0:
                    self._emit("breach", id, "rose under someone")

    def _check_warned(self, bollard: str, for_s: float) -> None:
        moving = self.posts[bollard].bollard.speed != 0
        if moving and not (self.warned and self._agenda.now_s - self._warned_s >= for_s):
            self._emit("breach", bollard, "moved without warning")
