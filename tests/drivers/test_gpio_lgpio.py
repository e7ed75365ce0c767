"""The lgpio back end against a fake of its library: which chip, which claims, whose stamps. Real lines: the rig."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from fake_lgpio import FakeChips

from drivers.errors import LinkLost
from drivers.gpio import GpioBank
from hardware import profiles, site

BOARD = site.Board(model="pi-5")
LABEL = profiles.board("pi-5").chip_label


@pytest.fixture
def chips(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeChips]:
    fake = FakeChips({0: "gpio-brcmstb", 10: LABEL})
    monkeypatch.setitem(sys.modules, "lgpio", fake)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    monkeypatch.setattr("gpiozero.pins.local.get_pi_revision", lambda: 0xC04170)
    yield fake
    sys.modules.pop("gpiozero.pins.lgpio", None)


async def test_the_chip_is_found_by_its_label(chips: FakeChips) -> None:
    bank = await GpioBank.open(BOARD, (17, 27), {16: True})
    assert list(chips.open_handles.values()) == [10], "one handle, on the header's chip, whatever its number"
    assert await bank.read_inputs() == {17: True, 27: True}
    await bank.close()
    assert not chips.open_handles


async def test_no_such_chip_names_those_there_are(chips: FakeChips) -> None:
    chips.labels = {0: "gpio-brcmstb"}
    with pytest.raises(LinkLost, match=f"{LABEL}.*gpio-brcmstb.*board.model"):
        await GpioBank.open(BOARD, (17,), {})
    chips.labels = {}
    with pytest.raises(LinkLost, match="group gpio"):
        await GpioBank.open(BOARD, (17,), {})


async def test_an_output_is_claimed_once_with_its_level(chips: FakeChips) -> None:
    bank = await GpioBank.open(BOARD, (17,), {16: True})
    await bank.write(16, False)
    assert await bank.read_outputs() == {16: False}
    await bank.close()
    assert [claim for claim in chips.claims if claim[1] == 16] == [("out", 16, 1)], "never an input for a moment"


async def test_edges_carry_the_kernel_s_stamp(chips: FakeChips, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool, float]] = []
    bank = await GpioBank.open(BOARD, (17,), {})
    bank.listen(lambda gpio, high, at: seen.append((gpio, high, at)))
    now = time.monotonic()
    monkeypatch.setattr("drivers.gpio_pins.time", SimpleNamespace(monotonic=lambda: now))  # a stalled machine is late
    stamp = now - 0.005
    chips.edge(17, 0, int(stamp * 1e9))
    [(gpio, high, at)] = seen
    assert (gpio, high) == (17, False)
    assert at == pytest.approx(stamp, abs=1e-6)
    await bank.close()


async def test_a_broken_handle_is_link_lost(chips: FakeChips) -> None:
    bank = await GpioBank.open(BOARD, (17,), {})
    chips.open_handles.clear()
    with pytest.raises(LinkLost, match="unknown handle"):
        await bank.read_inputs()
    await bank.close()
