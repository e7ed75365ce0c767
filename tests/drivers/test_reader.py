"""Card frames out of any byte stream, and a serial reader that is plugged and unplugged."""

from __future__ import annotations

import asyncio
import errno
import os
import pty
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import soon

from drivers.errors import LinkLost
from drivers.ports import BadCard, CardFrame
from drivers.reader import FrameParser, UartReader
from hardware import site

NUMBER = bytes.fromhex("0100A1B2C3")


def frame(number: bytes) -> bytes:
    """As the reader sends it: STX, ten digits, the exclusive or of the five bytes as two digits, ETX."""
    check = 0
    for byte in number:
        check ^= byte
    return b"\x02" + (number + bytes((check,))).hex().upper().encode() + b"\x03"


def cards(found: list[CardFrame | BadCard]) -> list[str]:
    return [each.card for each in found if isinstance(each, CardFrame)]


def test_a_frame_typed_by_hand() -> None:
    """01 ^ 00 ^ A1 ^ B2 ^ C3 = D1."""
    found = FrameParser("uart-125k").feed(b"\x020100A1B2C3D1\x03", 12.5)
    assert found == [CardFrame("uart-125k:0100A1B2C3", 12.5)]


def test_lower_case_digits_are_the_same_card() -> None:
    assert cards(FrameParser("f").feed(b"\x020100a1b2c3d1\x03", 0)) == ["f:0100A1B2C3"]


@given(st.binary(min_size=5, max_size=5))
def test_one_byte_at_a_time(number: bytes) -> None:
    parser, found = FrameParser("f"), list[CardFrame | BadCard]()
    for index, byte in enumerate(frame(number)):
        found += parser.feed(bytes((byte,)), index * 0.001)
    [card] = found
    assert card == CardFrame(f"f:{number.hex().upper()}", card.read_at)
    assert card.read_at == pytest.approx(0.013), "dated by its last byte"


noise = st.binary(max_size=40).map(lambda data: data.replace(b"\x02", b"\x55"))


@given(st.lists(st.tuples(noise, st.binary(min_size=5, max_size=5)), max_size=6), noise, st.integers(1, 30))
def test_noise_between_frames_costs_nothing(stream: list[tuple[bytes, bytes]], tail: bytes, chunk: int) -> None:
    data = b"".join(before + frame(number) for before, number in stream) + tail
    parser, found = FrameParser("f"), list[CardFrame | BadCard]()
    for start in range(0, len(data), chunk):
        found += parser.feed(data[start : start + chunk], 1.0)
    assert found == [CardFrame(f"f:{number.hex().upper()}", 1.0) for _, number in stream]


@given(st.binary(max_size=300), st.binary(min_size=5, max_size=5))
def test_after_any_garbage_the_next_frame_is_read(garbage: bytes, number: bytes) -> None:
    parser = FrameParser("f")
    parser.feed(garbage, 1.0)
    assert cards(parser.feed(frame(number), 1.0)) == [f"f:{number.hex().upper()}"]


@given(st.binary(max_size=2000))
def test_garbage_is_never_a_card_without_its_check(garbage: bytes) -> None:
    for each in FrameParser("f").feed(garbage, 1.0):
        if isinstance(each, CardFrame):
            assert frame(bytes.fromhex(each.card[2:])).lower() in garbage.lower()


@given(st.binary(min_size=5, max_size=5), st.integers(1, 12), st.integers(0, 6))
def test_one_wrong_bit_is_no_card(number: bytes, index: int, bit: int) -> None:
    data = bytearray(frame(number))
    data[index] ^= 1 << bit
    assert cards(FrameParser("f").feed(bytes(data), 1.0)) in ([], [f"f:{number.hex().upper()}"])
    if data.lower() != frame(number).lower():  # bit 5 turns a letter's case
        assert cards(FrameParser("f").feed(bytes(data), 1.0)) == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x020100A1B2C3D2\x03", "check digit"),
        (b"\x020100A1B2C3\x03", "too short"),
        (b"\x020100A1B2C3D1D1\x03", "too long"),
        (b"\x020100A1B2CG", "no hex digit"),
        (b"\x020100\x02", "broke off"),
    ],
)
def test_a_bad_frame_says_what_is_wrong(data: bytes, why: str) -> None:
    [bad] = FrameParser("f").feed(data, 3.0)
    assert isinstance(bad, BadCard)
    assert why in bad.why


def test_an_stx_with_nothing_after_it_was_noise() -> None:
    assert FrameParser("f").feed(b"\x02\x02\x02\x02" + frame(NUMBER), 1.0) == [CardFrame("f:0100A1B2C3", 1.0)]


def test_two_halves_of_different_swipes_make_no_card() -> None:
    parser = FrameParser("f")
    assert parser.feed(frame(NUMBER)[:7], 1.0) == []
    found = parser.feed(frame(NUMBER)[7:], 60.0)
    assert [type(each) for each in found] == [BadCard]


# ── the port ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Port:
    """A reader on a pty under a stable name."""

    def __init__(self, folder: Path) -> None:
        self.link = folder / "tty-guard"
        self.master = -1
        self.plug()

    def plug(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.master)
        tty.setraw(self.slave)
        self.link.symlink_to(os.ttyname(self.slave))

    def unplug(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            os.close(self.slave)
            self.link.unlink()
            self.master = -1

    def swipe(self, number: bytes = NUMBER) -> None:
        os.write(self.master, frame(number))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    made = Port(tmp_path)
    yield made
    made.unplug()


READER = site.Reader(id="guard", profile="uart-125k", device="tty-guard", direction="presence")


async def test_cards_come_as_they_are_swiped(port: Port, tmp_path: Path) -> None:
    reader = await UartReader.open(READER, folder=str(tmp_path))
    port.swipe()
    first = await soon(reader.next_frame(), 1)
    assert isinstance(first, CardFrame)
    assert first.card == "uart-125k:0100A1B2C3"
    port.swipe(b"\2\2\2\2\2")
    os.write(port.master, b"\x0212\x03")
    await soon(reader.next_frame(), 1)
    assert isinstance(await soon(reader.next_frame(), 1), BadCard)
    await reader.close()


async def test_unplugging_is_link_lost_and_plugging_in_again_works(port: Port, tmp_path: Path) -> None:
    reader = await UartReader.open(READER, folder=str(tmp_path))
    waiting = asyncio.create_task(reader.next_frame())
    await asyncio.sleep(0)
    port.unplug()
    with pytest.raises(LinkLost, match=r"reader guard at .*tty-guard: unplugged"):
        await soon(waiting, 1)
    with pytest.raises(LinkLost):
        await reader.next_frame()
    await reader.close()
    port.plug()
    reader = await UartReader.open(READER, folder=str(tmp_path))
    port.swipe()
    await soon(reader.next_frame(), 1)
    await reader.close()


@pytest.mark.parametrize("reads", [b"", OSError(errno.EIO, "gone")], ids=["nothing there", "error"])
async def test_ready_to_read_but_nothing_there_ends_it(
    port: Port, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: bytes | OSError
) -> None:
    """An unplugged USB adapter is ready to read for ever: taken as "nothing yet" it is an endless loop."""
    reader = await UartReader.open(READER, folder=str(tmp_path))
    calls: list[int] = []

    def read(fd: int, size: int) -> bytes:
        calls.append(fd)
        if isinstance(reads, OSError):
            raise reads
        return reads

    monkeypatch.setattr("drivers.reader.os.read", read)
    port.swipe()
    with pytest.raises(LinkLost, match="unplugged"):
        await soon(reader.next_frame(), 1)
    await asyncio.sleep(0.02)
    assert len(calls) == 1
    monkeypatch.undo()
    await reader.close()


async def test_closing_tells_whoever_waits(port: Port, tmp_path: Path) -> None:
    reader = await UartReader.open(READER, folder=str(tmp_path))
    waiting = asyncio.create_task(reader.next_frame())
    await asyncio.sleep(0)
    await reader.close()
    await reader.close()
    with pytest.raises(LinkLost, match="closed"):
        await waiting


async def test_the_port_is_held_alone(port: Port, tmp_path: Path) -> None:
    reader = await UartReader.open(READER, folder=str(tmp_path))
    with pytest.raises(LinkLost, match="busy with another program"):
        await UartReader.open(READER, folder=str(tmp_path))
    await reader.close()


async def test_no_such_port_names_it(tmp_path: Path) -> None:
    with pytest.raises(LinkLost, match=r"reader guard: no serial port .*tty-guard: is the adapter plugged"):
        await UartReader.open(READER, folder=str(tmp_path))


async def test_no_permission_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test may run as root, whom no permission stops."""
    (tmp_path / "tty-guard").write_text("")
    monkeypatch.setattr("drivers.serial_words.os.access", lambda path, mode: False)
    with pytest.raises(LinkLost, match=r"no permission for serial port .*tty-guard.*dialout"):
        await UartReader.open(READER, folder=str(tmp_path))
