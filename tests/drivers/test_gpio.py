"""Pins through gpiozero's own pigpio factory against an emulated daemon, and through lgpio against a fake library."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory
from patience import within
from pigpio_peer import MODES, PULL_UP, READ, WRITE, PigpioPeer

from drivers.errors import LinkLost, Misuse
from drivers.gpio import GpioBank
from drivers.gpio_pins import WatchedInputs, near_now
from hardware import site

INPUTS = (17, 27, 22, 2)
OUTPUTS = {16: False, 9: True}


@pytest.fixture
def daemon() -> Iterator[PigpioPeer]:
    peer = PigpioPeer()
    yield peer
    peer.die()


def board(peer: PigpioPeer) -> site.Board:
    return site.Board(model="pi-zero-2w", gpio="pigpio", gpio_address=peer.address)


@contextlib.asynccontextmanager
async def bank_of(peer: PigpioPeer) -> AsyncIterator[GpioBank]:
    bank = await GpioBank.open(board(peer), INPUTS, OUTPUTS)
    try:
        yield bank
    finally:
        await bank.close()


async def until(true: Any, within_s: float = 20.0) -> None:
    """Threads have no event to wait for here."""
    for _ in range(int(within_s / 0.005)):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come true")


def library_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name in ("pigpio edges", "gpio")]


async def test_inputs_are_pulled_up_and_read_in_one_command(daemon: PigpioPeer) -> None:
    async with bank_of(daemon) as bank:
        assert all(daemon.pulls[pin] == PULL_UP for pin in INPUTS)
        daemon.drive(17, False)
        daemon.commands.clear()
        assert await bank.read_inputs() == {17: False, 27: True, 22: True, 2: True}
        assert READ not in [command for command, _, _ in daemon.commands]
        assert len(daemon.commands) == 1, "twelve pins polled one by one cost twice what one bank read costs"


async def test_an_edge_carries_the_pins_own_instant(daemon: PigpioPeer) -> None:
    seen: list[tuple[int, bool, float]] = []
    async with bank_of(daemon) as bank:
        bank.listen(lambda gpio, high, at: seen.append((gpio, high, at)))
        before = time.monotonic()
        daemon.drive(17, False)
        after = time.monotonic()
        await until(lambda: seen)
        gpio, high, at = seen[0]
        assert (gpio, high) == (17, False)
        assert before - 0.002 <= at <= after + 0.002


async def test_a_listener_that_raises_does_not_end_the_edges(daemon: PigpioPeer) -> None:
    seen: list[int] = []

    def listener(gpio: int, high: bool, at: float) -> None:
        seen.append(gpio)
        raise ValueError("a bug above")

    async with bank_of(daemon) as bank:
        bank.listen(listener)
        daemon.drive(17, False)
        daemon.drive(27, False)
        await until(lambda: len(seen) == 2)


async def test_outputs_start_as_given_and_read_back_from_the_pin(daemon: PigpioPeer) -> None:
    async with bank_of(daemon) as bank:
        assert await bank.read_outputs() == {16: False, 9: True}
        await bank.write(16, True)
        assert daemon.high(16)
        daemon.drive(16, False)  # a short to ground
        assert await bank.read_outputs() == {16: False, 9: True}


async def test_a_driven_output_is_never_touched_by_opening_or_closing(daemon: PigpioPeer) -> None:
    """gpiozero would make it an input on both occasions: a lock would drop out at every restart of the agent."""
    daemon.modes[16] = 1
    daemon.level |= 1 << 16
    async with bank_of(daemon):
        assert daemon.high(16)
    assert [each for each in daemon.writes() if each[1] == 16] == []
    assert [each for each in daemon.writes() if each[1] == 9] == [(WRITE, 9, 1)], "set by one glitch-free command"
    assert (MODES, 9, 0) not in daemon.commands


async def test_writing_an_input_is_misuse(daemon: PigpioPeer) -> None:
    async with bank_of(daemon) as bank:
        with pytest.raises(Misuse):
            await bank.write(17, True)
        await bank.read_inputs()


async def test_a_dead_daemon_is_link_lost_at_once_and_for_good(daemon: PigpioPeer) -> None:
    bank = await GpioBank.open(board(daemon), INPUTS, OUTPUTS)
    daemon.die()
    for _ in range(3):
        with pytest.raises(LinkLost):
            await bank.read_inputs()
    with pytest.raises(LinkLost):
        await bank.write(16, True)
    await bank.close()


async def test_a_hung_daemon_is_link_lost_within_the_deadline(daemon: PigpioPeer) -> None:
    bank = await GpioBank.open(board(daemon), INPUTS, OUTPUTS)
    daemon.hung = True
    with pytest.raises(LinkLost):
        async with within(0.6):
            await bank.read_inputs()
    await bank.close()
    await until(lambda: not library_threads())


async def test_closing_leaves_no_thread_and_no_socket(daemon: PigpioPeer) -> None:
    """After the daemon's death the library's own thread spins on the closed socket until it is told to stop."""
    for death in (False, True):
        bank = await GpioBank.open(board(daemon), INPUTS, OUTPUTS)
        assert library_threads()
        if death:
            daemon.die()
            with pytest.raises(LinkLost):
                await bank.read_inputs()
        await bank.close()
        await bank.close()
        await until(lambda: not library_threads() and daemon.connections == 0)


async def test_the_edge_thread_ends_with_the_daemon(daemon: PigpioPeer) -> None:
    """The library's own thread spins on the closed socket, or dies with a traceback, before anybody reads a level."""
    async with bank_of(daemon):
        daemon.die()
        await until(lambda: [each.name for each in library_threads()] == ["gpio"])


async def test_a_new_bank_works_after_the_daemon_came_back(daemon: PigpioPeer) -> None:
    bank = await GpioBank.open(board(daemon), INPUTS, OUTPUTS)
    daemon.die()
    with pytest.raises(LinkLost):
        await bank.read_inputs()
    with pytest.raises(LinkLost, match="is pigpiod running"):
        await GpioBank.open(board(daemon), INPUTS, OUTPUTS)
    await bank.close()
    daemon.listen(True)
    seen: list[int] = []
    async with bank_of(daemon) as bank:
        bank.listen(lambda gpio, high, at: seen.append(gpio))
        daemon.drive(22, False)
        await until(lambda: seen == [22])
        assert not (await bank.read_inputs())[22]


async def test_a_daemon_that_hangs_from_the_start(daemon: PigpioPeer, capfd: pytest.CaptureFixture[str]) -> None:
    daemon.hung = True
    with pytest.raises(LinkLost, match="does not answer"):
        await GpioBank.open(board(daemon), INPUTS, OUTPUTS)
    assert capfd.readouterr().out == "", "the library prints its failures on stdout"


@pytest.mark.parametrize("address", ["192.168.1.20:8888", "0.0.0.0:8888", "gate.example:8888", "127.0.0.1"])
async def test_only_this_machine_s_daemon(address: str) -> None:
    with pytest.raises(Misuse):
        await GpioBank.open(site.Board(model="pi-4b", gpio="pigpio", gpio_address=address), INPUTS, {})


async def test_a_pin_cannot_be_both(daemon: PigpioPeer) -> None:
    with pytest.raises(Misuse):
        await GpioBank.open(board(daemon), (16,), {16: False})


async def test_lgpio_without_its_library_says_what_to_install() -> None:
    with pytest.raises(LinkLost, match="lgpio"):
        await GpioBank.open(site.Board(model="pi-4b"), INPUTS, OUTPUTS)


def test_watched_inputs_on_gpiozero_s_own_mock() -> None:
    """No fall-back, no hidden global: the factory handed in is the one that is used."""
    factory = MockFactory()
    seen: list[tuple[int, bool, float]] = []
    inputs = WatchedInputs(factory, lambda gpio, high, at: seen.append((gpio, high, at)))
    inputs.add(17, lambda ticks: ticks * 2)
    pin = factory.pin("GPIO17")
    assert (pin.function, pin.pull) == ("input", "up")
    pin.drive_low()
    pin.drive_high()
    assert [(gpio, high) for gpio, high, _ in seen] == [(17, False), (17, True)]
    assert inputs.pins == {17: pin}
    factory.close()


@pytest.mark.parametrize(("stamp", "expected"), [(99.9, 99.9), (100.0, 100.0), (98.0, 100.0), (101.0, 100.0)])
def test_a_stamp_of_another_clock_is_not_believed(stamp: float, expected: float) -> None:
    assert near_now(stamp, 100.0) == expected
