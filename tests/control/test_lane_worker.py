"""A lane's worker in virtual time: beats, levels until they are let go of, tokens once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping

import pytest
from box_scenes import turns, virtually

from agent.control.lanes import BEAT_S, BUSY_POLL_S, IDLE_POLL_S, SHOW_AGAIN_S, LaneWorker
from agent.core.events import Event, LaneReading, MotionSent
from agent.core.outputs import LaneOutputs, MotionRequest
from agent.core.words import Hold, Light, Motion, Sensor, Sent
from drivers.errors import DriverError, LinkLost, NoAnswer, Refused, TokenExpired
from drivers.ports import BollardState, HoldText, LaneState, LightText, MotionText

EFO = MotionRequest("main", "main-1", Motion.EFO, token=7, issued_at=1.0)


class Port:
    """A PLC that notes what it is asked, and when."""

    def __init__(self, now: Callable[[], float], takes_s: float = 0.0) -> None:
        self._now = now
        self._takes_s = takes_s
        self.reads: list[float] = []
        self.beats: list[float] = []
        self.shows: list[tuple[float, str, bool]] = []
        self.holds: list[tuple[float, str, str]] = []
        self.requests: list[tuple[object, ...]] = []
        self.fails: DriverError | None = None
        self.answer: DriverError | float = 1.25

    async def read(self) -> LaneState:
        if self.fails:
            raise self.fails
        self.reads.append(self._now())
        await asyncio.sleep(self._takes_s)
        bollards = {"main-1": BollardState(up=False, down=True, moving=False, token=3, cycles=9)}
        return LaneState(
            read_at=self.reads[-1],
            mode="remote",
            bollards=bollards,
            sensors={"loop1": "clear", "beam": "occupied"},
            warning_on=False,
            heartbeat_ok=True,
            fire_key=True,
        )

    async def request(self, bollard: str, motion: MotionText, token: int, issued_at: float, max_age_s: float) -> float:
        self.requests.append((bollard, motion, token, issued_at, max_age_s))
        if isinstance(self.answer, DriverError):
            raise self.answer
        return self.answer

    async def hold(self, bollard: str, hold: HoldText) -> None:
        self.holds.append((self._now(), bollard, hold))

    async def show(self, light: LightText, warning: bool) -> None:
        self.shows.append((self._now(), light, warning))

    async def beat(self) -> None:
        self.beats.append(self._now())


class Scene:
    """One worker being served, and what it said."""

    def __init__(
        self,
        local: Callable[[], tuple[Mapping[str, Sensor], float] | None] = lambda: None,
        warning: Callable[[], bool | None] | None = None,
        takes_s: float = 0.0,
    ) -> None:
        self.now = asyncio.get_running_loop().time
        self.told: list[Event] = []
        self.worker = LaneWorker("main", self.told.append, self.now, local, warning)
        self.port = Port(self.now, takes_s)
        self.serving: asyncio.Task[None] | None = None

    def serve(self) -> None:
        self.serving = asyncio.create_task(self.worker.serve(self.port))

    def want(
        self, light: Light = Light.GREEN, hold: Hold = Hold.NONE, *, busy: bool = False, warning: bool = False
    ) -> None:
        self.worker.want(LaneOutputs(light=light, warning=warning, hold={"main-1": hold}), busy=busy)

    def sent(self) -> list[MotionSent]:
        return [event for event in self.told if isinstance(event, MotionSent)]

    def reading(self) -> LaneReading:
        return next(event for event in self.told if isinstance(event, LaneReading))

    def held(self) -> list[str]:
        return [hold for _, _, hold in self.port.holds]


def steps(times: list[float]) -> set[float]:
    return {round(later - sooner, 3) for sooner, later in itertools.pairwise(times)}


# ── beats ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@virtually
async def test_an_idle_lane_is_read_on_the_slow_beat_and_its_heart_beats() -> None:
    scene = Scene()
    scene.serve()
    await asyncio.sleep(5.05)
    assert steps(scene.port.reads) == {IDLE_POLL_S}
    assert 9 <= len(scene.port.beats) <= 11
    assert max(steps(scene.port.beats)) <= BEAT_S + IDLE_POLL_S


@virtually
async def test_a_busy_lane_is_read_on_the_fast_beat() -> None:
    scene = Scene()
    scene.want(busy=True)
    scene.serve()
    await asyncio.sleep(2.05)
    assert steps(scene.port.reads) == {BUSY_POLL_S}


@virtually
async def test_a_plc_that_takes_long_is_asked_again_at_once_and_never_twice_at_a_time() -> None:
    scene = Scene(takes_s=0.35)
    scene.serve()
    await asyncio.sleep(3.0)
    assert steps(scene.port.reads) == {0.35}


@virtually
async def test_news_does_not_wait_for_the_beat() -> None:
    scene = Scene()
    scene.want(Light.GREEN)
    scene.serve()
    await asyncio.sleep(1.1)
    scene.want(Light.RED, Hold.STOP)
    await turns()
    assert scene.port.holds[-1] == (scene.now(), "main-1", "stop")
    assert scene.port.shows[-1] == (scene.now(), "red", False)


# ── levels ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@virtually
async def test_nothing_is_written_before_somebody_wants_something() -> None:
    scene = Scene()
    scene.serve()
    await asyncio.sleep(1.0)
    assert (scene.port.shows, scene.port.holds) == ([], [])


@virtually
async def test_a_stop_is_repeated_with_every_turn_until_it_is_let_go_of() -> None:
    scene = Scene()
    scene.want(hold=Hold.STOP, busy=True)
    scene.serve()
    await asyncio.sleep(1.05)
    assert scene.held() == ["stop"] * len(scene.port.reads)
    scene.want(hold=Hold.NONE)
    await asyncio.sleep(1.0)
    assert scene.held().count("none") == 1
    assert scene.held()[-1] == "none"


@virtually
async def test_a_stop_goes_before_light_and_heartbeat() -> None:
    order: list[str] = []
    scene = Scene()
    original = scene.port.hold

    async def hold(bollard: str, hold: HoldText) -> None:
        order.append(f"hold, after {len(scene.port.shows)} shows and {len(scene.port.beats)} beats")
        await original(bollard, hold)

    scene.port.hold = hold  # type: ignore[method-assign]
    scene.want(hold=Hold.LOWER)
    scene.serve()
    await turns()
    assert order == ["hold, after 0 shows and 0 beats"]


@virtually
async def test_light_and_warning_are_written_anew_now_and_then() -> None:
    scene = Scene()
    scene.want()
    scene.serve()
    await asyncio.sleep(5.05)
    times = [at for at, _, _ in scene.port.shows]
    assert min(steps(times)) >= SHOW_AGAIN_S
    assert max(steps(times)) <= SHOW_AGAIN_S + IDLE_POLL_S


@virtually
async def test_after_the_plc_came_back_every_level_is_written_anew() -> None:
    scene = Scene()
    scene.want()
    scene.serve()
    await asyncio.sleep(0.5)
    scene.port.fails = LinkLost("the PLC is gone")
    assert scene.serving is not None
    with pytest.raises(LinkLost):
        await scene.serving
    scene.port = Port(scene.now)
    scene.serve()
    await turns()
    assert scene.held() == ["none"]
    assert len(scene.port.shows) == 1


# ── tokens ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@virtually
async def test_a_token_goes_to_the_port_once_word_for_word() -> None:
    scene = Scene()
    acks: list[tuple[MotionRequest, float, int]] = []
    scene.worker.on_ack = lambda request, at: acks.append((request, at, len(scene.sent())))
    scene.serve()
    await turns()
    await scene.worker.move(EFO)
    assert scene.port.requests == [("main-1", "efo", 7, 1.0, 2.0)]
    assert scene.sent() == [MotionSent("main", "main-1", 7, Sent.ACKED, 1.25, "")]
    assert acks == [(EFO, 1.25, 0)]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TokenExpired("too old"), Sent.EXPIRED),
        (Refused("the PLC says no", 2), Sent.REFUSED),
        (NoAnswer("silent"), Sent.FAILED),
        (LinkLost("gone"), Sent.FAILED),
    ],
)
def test_what_went_wrong_has_its_own_word_and_nothing_is_tried_again(error: DriverError, outcome: Sent) -> None:
    @virtually
    async def story() -> None:
        scene = Scene()
        scene.serve()
        await turns()
        scene.port.answer = error
        await scene.worker.move(EFO)
        await asyncio.sleep(3.0)
        assert len(scene.port.requests) == 1
        assert scene.sent() == [MotionSent("main", "main-1", 7, outcome, None, str(error))]

    story()


@virtually
async def test_without_a_link_a_token_expires_unsent_and_is_not_kept_for_later() -> None:
    scene = Scene()
    await scene.worker.move(EFO)
    assert [event.outcome for event in scene.sent()] == [Sent.EXPIRED]
    scene.serve()
    await asyncio.sleep(1.0)
    assert scene.port.requests == []


@virtually
async def test_a_lost_plc_is_no_link() -> None:
    scene = Scene()
    scene.serve()
    await turns()
    scene.port.fails = LinkLost("the PLC is gone")
    assert scene.serving is not None
    with pytest.raises(LinkLost):
        await scene.serving
    await scene.worker.move(EFO)
    assert (scene.port.requests, [event.outcome for event in scene.sent()]) == ([], [Sent.EXPIRED])


# ── readings ───────────────────────────────────────────────────────────────────────────────────────────────────────


@virtually
async def test_a_reading_says_all_the_plc_said() -> None:
    scene = Scene()
    scene.serve()
    await turns()
    reading = scene.reading()
    assert reading.sensors == {"loop1": Sensor.CLEAR, "beam": Sensor.OCCUPIED}
    assert (reading.fire_key, reading.estop, reading.warning_on, reading.heartbeat_ok) == (True, False, False, True)
    assert (reading.bollards["main-1"].token, reading.bollards["main-1"].cycles) == (3, 9)


@virtually
async def test_the_boxes_own_sensors_are_merged_and_the_oldest_part_dates_the_whole() -> None:
    await asyncio.sleep(10.0)
    scene = Scene(local=lambda: ({"loop1": Sensor.OCCUPIED, "pressure": Sensor.CLEAR}, 9.5), warning=lambda: True)
    scene.serve()
    await turns()
    reading = scene.reading()
    assert reading.sensors == {"loop1": Sensor.OCCUPIED, "beam": Sensor.OCCUPIED, "pressure": Sensor.CLEAR}
    assert reading.read_at == 9.5
    assert reading.warning_on is True


@virtually
async def test_own_sensors_nobody_reads_make_the_whole_reading_old() -> None:
    scene = Scene(local=lambda: ({"loop1": Sensor.UNREAD}, float("-inf")))
    scene.serve()
    await turns()
    assert scene.reading().read_at == float("-inf")
