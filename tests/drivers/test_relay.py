"""The relay board: one coil at a time, read back from the board, never the coils that switch all."""

from __future__ import annotations

import asyncio

import pytest
from modbus_peers import Tables, honest, tcp_peer

from drivers.errors import Misuse
from drivers.modbus_bus import ModbusBus
from drivers.relay import RelayBoard
from hardware import profiles, site

BOARD = site.RelayBoard(name="relays", bus="plc", unit=1, profile="waveshare-8ch")


async def test_write_and_read_back() -> None:
    tables = Tables()
    async with tcp_peer(honest({1: tables})) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        board = RelayBoard(BOARD, bus)
        await board.write(3, True)
        await board.write(7, True)
        await board.write(7, False)
        assert [heard.pdu.hex(" ") for heard in peer.heard] == ["05 00 03 ff 00", "05 00 07 ff 00", "05 00 07 00 00"]
        assert await board.read() == (False, False, False, True, False, False, False, False)
        tables.coils[3] = False  # somebody else, or a power cut
        assert await board.read() == (False,) * 8
        await bus.close()


async def test_a_write_overtakes_the_polls() -> None:
    async with tcp_peer(honest({1: Tables()}, delay_s=0.01)) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        board = RelayBoard(BOARD, bus)
        await asyncio.gather(board.read(), board.read(), board.write(2, True))
        assert [heard.address for heard in peer.heard] == [0, 2, 0]
        await bus.close()


@pytest.mark.parametrize("channel", [-1, 8, 0x00FF, 0x01FF, 0x0200])
async def test_no_other_coil_is_ever_written(channel: int) -> None:
    async with tcp_peer(honest({1: Tables()})) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        with pytest.raises(Misuse, match="relays"):
            await RelayBoard(BOARD, bus).write(channel, True)
        assert peer.heard == []
        await bus.close()


async def test_a_forbidden_coil_within_the_channels_is_not_written_either() -> None:
    facts = profiles.relay("waveshare-8ch")
    odd = profiles.RelayProfile(
        name="odd", title="", sources=facts.sources, channels=8, first_coil=0xFC, forbidden=(0xFF,),
        flash_on=0x200, flash_off=0x400,
    )  # fmt: skip
    async with tcp_peer(honest({1: Tables()})) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        board = RelayBoard(BOARD, bus, odd)
        await board.write(2, True)
        with pytest.raises(Misuse, match="never written"):
            await board.write(3, True)
        assert [heard.address for heard in peer.heard] == [0xFE]
        await bus.close()
