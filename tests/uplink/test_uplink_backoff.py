"""Pauses between tries: fast first, at most 30 s, short while an alarm waits, never a tight loop for ever."""

from __future__ import annotations

from agent.uplink.backoff import LAST_S, STEADY_S, UNSTEADY_S, URGENT_S, BackOff


def pauses(back_off: BackOff, number: int, *, served: bool, lasted_s: float = 0.0, alarm: bool = False) -> list[float]:
    found = []
    for _ in range(number):
        back_off.lost(served, lasted_s)
        found.append(back_off.pause_s(alarm))
    return found


def test_a_lost_steady_connection_is_tried_again_at_once() -> None:
    back_off = BackOff()
    pauses(back_off, 20, served=False)
    assert pauses(back_off, 1, served=True, lasted_s=STEADY_S)[0] <= 0.1


def test_a_broker_that_is_away_is_asked_less_and_less() -> None:
    found = pauses(BackOff(), 40, served=False)
    assert found[0] <= 0.2
    assert all(pause <= LAST_S for pause in found)
    assert min(found[10:]) >= LAST_S / 2
    assert len(set(found)) == len(found), "jitter"


def test_an_alarm_does_not_wait_for_a_long_pause() -> None:
    assert max(pauses(BackOff(), 40, served=False, alarm=True)) <= URGENT_S


def test_a_broker_that_falls_a_few_times_is_met_at_once_and_a_quarrel_calms_down() -> None:
    found = pauses(BackOff(), 20, served=True, lasted_s=0.05)
    assert max(found[:4]) <= 0.1
    assert min(found[14:]) >= UNSTEADY_S / 2


def test_a_mobile_link_that_comes_and_goes_is_not_punished_for_the_time_it_was_away() -> None:
    back_off = BackOff()
    for _ in range(4):
        assert max(pauses(back_off, 1, served=True, lasted_s=5.0)) <= 0.1
        pauses(back_off, 6, served=False)
