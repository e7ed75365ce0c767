"""The GB/T 28181 path over real sockets: UDP and TCP against our platform, in this process and in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gb28181_rig import INPUTS, PASSWORD, Rig, listening, press, until

from agent.uplink.gb28181.path import Gb28181Path
from agent.uplink.gb28181.wire import LinkLost, open_wire
from sim.gb28181.platform import DEVICE, PLATFORM
from sim.ports import free_port


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.close()
    await asyncio.sleep(0.05)  # both ends let go of their sockets


def real(rig: Rig, port: int, transport: str) -> Gb28181Path:
    return rig.path(lambda heard: open_wire(transport, "127.0.0.1", port, heard), port=port, transport=transport)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_alarms_and_questions_over_a_real_socket(rig: Rig, transport: str) -> None:
    async with listening(transport) as (platform, port):
        path = real(rig, port, transport)
        for seq in range(1, 21):
            path.take(press(seq))
        await until(lambda: all(rig.told.received(seq) for seq in range(1, 21)))
        platform.query("Catalog")
        await until(lambda: len(platform.answers) == len(INPUTS))
        assert platform.refused == []
        assert [alarm["copies"] for alarm in platform.alarms] == [1] * 20


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_nobody_listening_is_said_at_once(rig: Rig, transport: str) -> None:
    port = free_port()
    real(rig, port, transport)
    await until(lambda: bool(rig.told.ups))
    assert not rig.told.up
    assert str(port) in rig.told.ups[0][1]


async def test_a_stranger_is_not_even_heard(rig: Rig) -> None:
    async with listening("udp") as (platform, port):
        real(rig, port, "udp").take(press())
        await until(lambda: rig.told.received())
        (address,) = platform.where.values()
        order = (
            f"MESSAGE sip:{DEVICE}@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"
            f"From: <sip:{PLATFORM}@x>;tag=1\r\n"
            f"To: <sip:{DEVICE}@x>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n\r\n"
            f"<Control><CmdType>DeviceControl</CmdType><SN>1</SN><DeviceID>{DEVICE}</DeviceID></Control>"
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(order.encode(), address)
        platform.query("SetGuard")
        await until(lambda: bool(platform.answers))
        assert [data["verb"] for *_, data in rig.told.notes] == ["SetGuard"]


async def test_a_stream_in_single_bytes_and_with_keepalives_between_is_read(rig: Rig) -> None:
    async def bytewise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"\r\n\r\n" + b"".join(
            b"OPTIONS sip:34020000001170000001@x SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK%d\r\n"
            b"From: <sip:34020000002000000001@x>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\n"
            b"Content-Length: 2\r\n\r\nhi" % (n, n)
            for n in range(3)
        ):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        heard.append(await reader.read(1))  # until the other end closes
        writer.close()

    heard: list[bytes] = []
    got: list[bytes] = []
    server = await asyncio.start_server(bytewise, "127.0.0.1", 0)
    wire = await open_wire("tcp", "127.0.0.1", server.sockets[0].getsockname()[1], got.append)
    await until(lambda: len(got) == 3)
    assert all(data.endswith(b"\r\n\r\nhi") for data in got)
    wire.close()
    await until(lambda: bool(heard))
    server.close()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "closed the connection"),
        (b"OPTIONS sip:a@b SIP/2.0\r\nTo: a\r\n\r\n", "no SIP"),
        (b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 99999\r\n\r\n", "no SIP"),
        (b"x" * 200_000, "no SIP"),
    ],
)
async def test_a_stream_that_cannot_be_followed_is_given_up(data: bytes, says: str) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(data)
        with contextlib.suppress(OSError):
            await writer.drain()
        if not data:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = await open_wire("tcp", "127.0.0.1", port, lambda data: None)
    async with asyncio.timeout(5):
        assert says in await wire.lost
    wire.close()
    server.close()
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0.05)


async def test_a_name_that_leads_nowhere_is_said() -> None:
    with pytest.raises(LinkLost, match=r"no-such-host\.invalid"):
        await open_wire("udp", "no-such-host.invalid", 5060, lambda data: None)


# ── a platform in a process of its own ─────────────────────────────────────────────────────────────────────────────


class Child:
    """`python -m sim.gb28181`, which may be killed and started again on its port with its log."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "alarms.jsonl"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        args = ["-m", "sim.gb28181", "--password", PASSWORD, "--log", str(self.log), "--port", str(self.port)]
        process = self.process = subprocess.Popen([sys.executable, *args], stdout=subprocess.PIPE)  # noqa: ASYNC220
        assert process.stdout is not None
        self.port = json.loads(await asyncio.to_thread(process.stdout.readline))["port"]

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await asyncio.to_thread(self.process.communicate)

    def alarms(self) -> list[int]:
        return (
            [json.loads(line)["sn"] for line in self.log.read_text("utf-8").splitlines()] if self.log.exists() else []
        )


@pytest.mark.e2e
async def test_what_was_confirmed_is_on_the_platforms_log_whatever_it_suffers(tmp_path: Path, rig: Rig) -> None:
    child = Child(tmp_path)
    await child.start()
    try:
        path = real(rig, child.port, "udp")
        for round_ in range(3):
            for seq in range(round_ * 10, round_ * 10 + 10):
                path.take(press(seq))
            await until(lambda: any(rig.told.received(seq) for seq in range(round_ * 10, round_ * 10 + 10)))  # noqa: B023
            await child.kill()  # in the middle of it, or just after
            path.take(press(100 + round_))
            await until(lambda: not rig.told.up)
            await child.start()
        wanted = {*range(30), 100, 101, 102}
        await until(lambda: all(rig.told.received(seq) for seq in wanted), 60)
        kept = child.alarms()
        assert len(kept) == len(set(kept)) == len(wanted)
    finally:
        await child.kill()
