"""A lane's worker: reads its PLC on a beat, keeps its levels as desired, and takes motion tokens out, once each.

Readings must never be older than 300 ms (domain rule 1), so the lane is read every 200 ms, and every 100 ms while
something is asked or moving. Motion tokens do not wait for the beat: they go straight to the bus owner's own lane.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from agent.core.events import BollardReading, Event, LaneReading, MotionSent
from agent.core.outputs import LaneOutputs, MotionRequest
from agent.core.words import Hold, Light, Mode, Sensor, Sent
from drivers.errors import DriverError, Refused, TokenExpired
from drivers.ports import LanePort, LaneState

IDLE_POLL_S = 0.2
BUSY_POLL_S = 0.1
BEAT_S = 0.5  # domain rules, section 4: heartbeat register written every 500 ms
SHOW_AGAIN_S = 1.0  # lights and warning are written anew this often, whatever was written before


class LaneWorker:
    """Serves one lane.

    `local_sensors` gives the sensors wired to the box itself, with the instant they were read; `local_warning` the
    read-back of a pre-warning wired to the box, where there is one; `plc_warns`: lamp or buzzer hangs on the PLC.
    """

    def __init__(
        self,
        lane: str,
        post: Callable[[Event], None],
        monotonic: Callable[[], float],
        local_sensors: Callable[[], tuple[Mapping[str, Sensor], float] | None],
        local_warning: Callable[[], bool | None] | None = None,
        *,
        plc_warns: bool = False,
    ) -> None:
        self.lane = lane
        self._post = post
        self._monotonic = monotonic
        self._local_sensors = local_sensors
        self._local_warning = local_warning
        self._plc_warns = plc_warns
        self._wanted: LaneOutputs | None = None
        self._shown: tuple[Light, bool] | None = None
        self._shown_at = float("-inf")
        self._held: dict[str, Hold] = {}
        self._busy = False
        self._changed = asyncio.Event()
        self._port: LanePort | None = None
        self.light: Light | None = None  # read back; None where the PLC does not tell, or is lost
        self.on_ack: Callable[[MotionRequest, float], None] = lambda request, at: None

    def want(self, outputs: LaneOutputs, *, busy: bool) -> None:
        """Set the levels this lane shall have. `busy` asks for the fast beat."""
        self._busy = busy
        if outputs != self._wanted:
            self._wanted = outputs
            self._changed.set()

    async def serve(self, port: LanePort) -> None:
        """Keep the lane until its PLC fails with a `DriverError`."""
        self._port = port
        self._shown = None
        self._held.clear()
        beat_due = float("-inf")
        try:
            while True:
                started = self._monotonic()
                self._changed.clear()
                await self._keep_levels(port)
                if started >= beat_due:
                    await port.beat()
                    beat_due = started + BEAT_S
                self._post(self._event(await port.read()))
                await self._rest(started)
        finally:
            self._port = self.light = None

    async def _rest(self, started: float) -> None:
        interval = BUSY_POLL_S if self._busy else IDLE_POLL_S
        rest = started + interval - self._monotonic()
        if rest <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(rest):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _keep_levels(self, port: LanePort) -> None:
        """Stop and reversal first, then light and warning. Levels are written again until the core lets go of them."""
        wanted = self._wanted
        if wanted is None:
            return
        for bollard, hold in wanted.hold.items():
            await self._hold(port, bollard, hold)
        now = self._monotonic()
        picture = (wanted.light, wanted.warning)
        if picture != self._shown or now - self._shown_at >= SHOW_AGAIN_S:
            await port.show(wanted.light.value, wanted.warning)
            self._shown, self._shown_at = picture, now

    async def _hold(self, port: LanePort, bollard: str, hold: Hold) -> None:
        if hold is not Hold.NONE or self._held.get(bollard) is not Hold.NONE:
            await port.hold(bollard, hold.value)
            self._held[bollard] = hold

    def _event(self, state: LaneState) -> LaneReading:
        """The driver's reading in the core's words, with the box's own sensors merged in; the oldest part dates it."""
        self.light = _light(state)
        sensors = {name: Sensor(text) for name, text in state.sensors.items()}
        read_at = state.read_at
        local = self._local_sensors()
        if local is not None:
            sensors.update(local[0])
            read_at = min(read_at, local[1])
        return LaneReading(
            lane=self.lane,
            read_at=read_at,
            mode=Mode(state.mode),
            bollards={
                name: BollardReading(b.up, b.down, b.moving, b.fault, b.efo, b.token, b.cycles)
                for name, b in state.bollards.items()
            },
            sensors=sensors,
            warning_on=self._warning(state.warning_on),
            heartbeat_ok=state.heartbeat_ok,
            estop=state.estop,
            fire_key=state.fire_key,
        )

    def _warning(self, at_plc: bool | None) -> bool | None:
        """Lamp and buzzer together: where one hangs on the PLC and the other on the box, both must be on."""
        local = self._local_warning() if self._local_warning else None
        return at_plc if local is None or (local and self._plc_warns) else local

    async def move(self, request: MotionRequest) -> None:
        """Take one token out, once, and report what became of it. Never raises."""
        port = self._port
        if port is None:
            self._report(request, Sent.EXPIRED, None, "no link to the lane's PLC")
            return
        try:
            acked_at = await port.request(
                request.bollard, request.motion.value, request.token, request.issued_at, request.max_age_s
            )
        except TokenExpired as error:
            self._report(request, Sent.EXPIRED, None, str(error))
        except Refused as error:
            self._report(request, Sent.REFUSED, None, str(error))
        except DriverError as error:
            self._report(request, Sent.FAILED, None, str(error))
        else:
            self.on_ack(request, acked_at)
            self._report(request, Sent.ACKED, acked_at, "")

    def _report(self, request: MotionRequest, outcome: Sent, acked_at: float | None, why: str) -> None:
        self._post(MotionSent(request.lane, request.bollard, request.token, outcome, acked_at, why))


def _light(state: LaneState) -> Light | None:
    """The lane's light as its PLC drives it now; both lamps at once is no light that means anything."""
    if "red_on" not in state.extra or "green_on" not in state.extra:
        return None
    match bool(state.extra["red_on"]), bool(state.extra["green_on"]):
        case (True, False):
            return Light.RED
        case (False, True):
            return Light.GREEN
        case (False, False):
            return Light.OFF
        case _:
            return None
