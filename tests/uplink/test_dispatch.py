"""Which path gets an alarm when, by a clock that the test holds."""

from __future__ import annotations

import pytest

from agent.core.words import Stage
from agent.uplink.dispatch import KEEP, NEXT_AFTER_S, Dispatch
from agent.uplink.path import Alarm, Ending, alarm_of, ending_of

Ref = tuple[int, int]


class Told:
    """Takes reports."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, Ref, Stage, str]] = []
        self.paths: list[tuple[str, bool, str]] = []

    def stage(self, path: str, ref: Ref, stage: Stage, by: str = "") -> None:
        self.stages.append((path, ref, stage, by))

    def path(self, path: str, up: bool, why: str = "") -> None:
        self.paths.append((path, up, why))

    def given_up(self, path: str, count: int) -> None:
        raise AssertionError("the dispatch gives no alarm up by itself")


class FakePath:
    def __init__(self, name: str, *, broken: bool = False) -> None:
        self.name = name
        self.broken = broken
        self.taken: list[tuple[Ref, Stage]] = []

    def take(self, alarm: Alarm, stage: Stage = Stage.QUEUED) -> None:
        if self.broken:
            raise RuntimeError("a bug")
        self.taken.append((alarm.ref, stage))

    async def run(self) -> None: ...


class Rig:
    def __init__(self) -> None:
        self.now = 100.0
        self.told = Told()
        self.dispatch = Dispatch(self.told, lambda: self.now)
        self.first, self.beside, self.next = FakePath("mqtt"), FakePath("gb28181"), FakePath("dc09")
        self.dispatch.use([[self.first, self.beside], [self.next]])

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.dispatch.judge()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def alarm(seq: int = 7, kind: str = "panic.pressed") -> Alarm:
    return Alarm((1, seq), b"{}", kind, "2026-11-27T08:00:00.000Z")


def test_the_first_group_gets_an_alarm_together_and_at_once(rig: Rig) -> None:
    rig.dispatch.add(alarm())
    assert rig.first.taken == rig.beside.taken == [((1, 7), Stage.QUEUED)]
    assert rig.next.taken == []


def test_ten_seconds_without_a_receipt_bring_the_next_path(rig: Rig) -> None:
    rig.dispatch.add(alarm())
    rig.dispatch.stage("mqtt", (1, 7), Stage.SENT)  # the broker's word is no receipt
    rig.after(9.99)
    assert rig.next.taken == []
    rig.after(0.01)
    assert rig.next.taken == [((1, 7), Stage.QUEUED)]
    rig.after(10.0)
    assert len(rig.next.taken) == len(rig.first.taken) == 1  # nobody is left, nobody gets it twice


@pytest.mark.parametrize("stage", [Stage.RECEIVED, Stage.ACKNOWLEDGED, Stage.COMING, Stage.ARRIVED])
def test_a_receipt_on_any_path_ends_the_search_and_passes_on(rig: Rig, stage: Stage) -> None:
    rig.dispatch.add(alarm())
    rig.dispatch.stage("gb28181", (1, 7), stage, "desk")
    rig.after(NEXT_AFTER_S * 3)
    assert rig.next.taken == []
    assert rig.told.stages == [("gb28181", (1, 7), stage, "desk")]


def test_a_receipt_for_another_alarm_ends_nothing(rig: Rig) -> None:
    rig.dispatch.add(alarm(7))
    rig.dispatch.stage("mqtt", (1, 8), Stage.RECEIVED)
    rig.after(NEXT_AFTER_S)
    assert rig.next.taken == [((1, 7), Stage.QUEUED)]


def test_after_a_restart_those_that_had_it_have_it_again(rig: Rig) -> None:
    rig.dispatch.add(alarm(), {"mqtt": Stage.SENT, "dc09": Stage.RECEIVED})
    assert rig.first.taken == [((1, 7), Stage.SENT)]
    assert rig.beside.taken == [((1, 7), Stage.QUEUED)]
    assert rig.next.taken == [((1, 7), Stage.RECEIVED)]


def test_after_a_restart_an_alarm_received_goes_no_further(rig: Rig) -> None:
    rig.dispatch.add(alarm(), {"mqtt": Stage.RECEIVED, "dc09": Stage.QUEUED})
    rig.after(NEXT_AFTER_S)
    assert rig.next.taken == []


def test_one_paths_bug_costs_the_others_nothing(rig: Rig) -> None:
    rig.first.broken = True
    rig.dispatch.add(alarm())
    rig.after(NEXT_AFTER_S)
    assert len(rig.beside.taken) == len(rig.next.taken) == 1


def test_a_known_alarm_is_not_handed_out_again(rig: Rig) -> None:
    rig.dispatch.add(alarm())
    rig.dispatch.add(alarm())
    assert len(rig.first.taken) == 1


def test_a_flood_forgets_what_is_no_panic_first(rig: Rig) -> None:
    rig.dispatch.add(alarm(0))
    for seq in range(1, KEEP + 1):
        rig.dispatch.add(alarm(seq, "door.forced"))
    assert {(1, 0), (1, 1)} & {one.ref for one in rig.dispatch.followed(())} == {(1, 0)}


class Hearing(FakePath):
    """A path whose far side wants to hear that an alarm is over."""

    def __init__(self, name: str, *, broken: bool = False) -> None:
        super().__init__(name, broken=broken)
        self.ended: list[Ending] = []

    def over(self, ending: Ending) -> None:
        if self.broken:
            raise RuntimeError("a bug")
        self.ended.append(ending)


def forced(seq: int = 7, subject: str = "door:wicket") -> Alarm:
    return Alarm((1, seq), b"{}", "door.forced", "2026-11-27T08:00:00.000Z", subject=subject)


def closed(seq: int = 9, of: Ref | None = (1, 7)) -> Ending:
    return Ending((1, seq), "2026-11-27T08:01:00.000Z", "door:wicket", ("door.forced",), of)


@pytest.fixture
def endings(rig: Rig) -> tuple[Hearing, Hearing]:
    """The same rig with two centres, of the first priority and of the second."""
    first, late = Hearing("first"), Hearing("late")
    rig.dispatch.use([[first, rig.first], [late]])
    return first, late


def test_an_end_goes_to_those_who_have_the_alarm_and_wish_to_hear_of_it(
    rig: Rig, endings: tuple[Hearing, Hearing]
) -> None:
    first, late = endings
    rig.dispatch.add(forced())
    rig.dispatch.over(closed())
    assert [one.ref for one in first.ended] == [(1, 9)]
    assert late.ended == []  # it never heard of the alarm
    rig.dispatch.over(closed())
    assert len(first.ended) == 1  # found again after a start: told once


def test_an_end_that_names_no_alarm_ends_the_newest_of_that_thing(rig: Rig, endings: tuple[Hearing, Hearing]) -> None:
    first, late = endings
    rig.dispatch.add(forced(6))
    rig.dispatch.add(forced(7, subject="door:staff"))
    rig.dispatch.over(closed(of=None))
    assert [one.of for one in first.ended] == [(1, 6)]
    assert late.ended == []


def test_an_end_whose_alarm_nobody_remembers_goes_everywhere(rig: Rig, endings: tuple[Hearing, Hearing]) -> None:
    rig.dispatch.over(closed())
    assert [len(path.ended) for path in endings] == [1, 1]


def test_one_paths_bug_keeps_an_end_from_no_other(rig: Rig, endings: tuple[Hearing, Hearing]) -> None:
    first, late = endings
    first.broken = True
    rig.dispatch.over(closed())
    assert len(late.ended) == 1


def test_the_alarm_itself_says_what_ended(rig: Rig, endings: tuple[Hearing, Hearing]) -> None:
    """One record says that a supply is well; whether it was unread or gone, the alarm knows."""
    rig.dispatch.add(Alarm((1, 7), b"{}", "supply.unread", "t", subject="supply:mains"))
    rig.dispatch.over(Ending((1, 8), "t", "supply:mains", ("supply.alarm",), (1, 7)))
    assert endings[0].ended[0].kinds == ("supply.unread",)


def test_an_end_is_read_from_its_record() -> None:
    body = b'{"at":"t","cause":[1,4],"data":{"forced":false,"held":true},"epoch":1,"kind":"door.closed"'
    body += b',"seq":5,"subject":"door:w"}'
    assert ending_of(body) == Ending((1, 5), "t", "door:w", ("door.held_open",), (1, 4))
    assert ending_of(body.replace(b"true", b"false")) is None
    assert ending_of(body.replace(b"door.closed", b"path.up")) == Ending((1, 5), "t", "door:w", ("path.none",), (1, 4))
    assert ending_of(body.replace(b"door.closed", b"path.up").replace(b"[1,4]", b"null")) is None


def test_no_path_at_all_is_survived() -> None:
    rig = Rig()
    rig.dispatch.use([])
    rig.dispatch.add(alarm())
    rig.after(NEXT_AFTER_S)
    assert (rig.told.stages, rig.first.taken, rig.next.taken) == ([], [], []), (
        "and nobody is told that it went anywhere"
    )


def test_an_alarm_is_read_from_its_record() -> None:
    body = b'{"at":"t","data":{"drill":true},"epoch":2,"kind":"panic.pressed","seq":5}'
    assert alarm_of(body) == Alarm((2, 5), body, "panic.pressed", "t", drill=True)
