"""A GB/T 28181 path and its platform in one loop, joined by a link that tests may spoil; for real and virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal

from agent.core.words import Stage
from agent.uplink.gb28181.path import Gb28181Path
from agent.uplink.gb28181.wire import Heard, LinkLost, OpenWire, Wire
from agent.uplink.path import Alarm, alarm_of
from hardware.site import Board, Gb28181, PanicButton, Site, SiteIds
from sim.gb28181.platform import DEVICE, PLATFORM, Platform
from sim.gb28181.wires import Udp, send_tcp, serve_tcp

PASSWORD = "gate one, secret"
INPUTS = ("34020000001340000001", "34020000001340000002")
Ref = tuple[int, int]


class Told:
    """Takes what the path reports, with the instant (loop's seconds)."""

    def __init__(self) -> None:
        self.stages: list[tuple[Ref, Stage]] = []
        self.ups: list[tuple[bool, str]] = []
        self.lost = 0
        self.at: list[float] = []
        self.notes: list[tuple[str, str, str, dict[str, str | int]]] = []

    def stage(self, path: str, ref: Ref, stage: Stage, by: str = "") -> None:
        self.stages.append((ref, stage))

    def path(self, path: str, up: bool, why: str = "") -> None:
        self.ups.append((up, why))
        self.at.append(asyncio.get_running_loop().time())

    def note(self, kind: str, subject: str, actor: str, data: dict[str, str | int]) -> None:
        self.notes.append((kind, subject, actor, data))

    def given_up(self, path: str, count: int) -> None:
        self.lost = count

    def received(self, seq: int = 7) -> bool:
        return ((1, seq), Stage.RECEIVED) in self.stages

    @property
    def up(self) -> bool:
        return self.ups[-1:] != [] and self.ups[-1][0]


class Noise:
    """A link that loses and doubles messages, by a seed."""

    def __init__(self, send: Callable[[bytes, Any], None], seed: int, loss: float, doubling: float) -> None:
        self._send = send
        self._dice = random.Random(seed)
        self.loss = loss
        self.doubling = doubling

    def __call__(self, data: bytes, peer: Any) -> None:
        if self._dice.random() >= self.loss:
            self._send(data, peer)
        if self._dice.random() < self.doubling:
            self._send(data, peer)


class _Joined:
    """A wire to a platform in this loop: messages take a millisecond each way."""

    transport: Literal["UDP", "TCP"] = "UDP"

    def __init__(self, rig: Rig, heard: Heard, port: int) -> None:
        self.local = ("127.0.0.1", port)
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.heard = heard
        self._rig = rig

    def send(self, data: bytes) -> None:
        self._rig.up(data, self)

    def close(self) -> None:
        self.heard = lambda data: None


class Rig:
    """`platform` over a link whose noise is `loss` and `doubling`; `away` swallows everything."""

    def __init__(self, folder: Path, seed: int = 0, **platform: object) -> None:
        self.folder = folder
        self.told = Told()
        self.picture: dict[str, object] | None = None
        self.platform = Platform(PASSWORD, self._down, **platform)  # type: ignore[arg-type]
        self.noises = (Noise(self._deliver_up, seed, 0.0, 0.0), Noise(self._deliver_down, seed + 1, 0.0, 0.0))
        self.noise_up: Callable[[bytes, _Joined], None] = self.noises[0]
        self.away = False
        self.refuse = False
        self.wires: list[_Joined] = []
        self.sent: list[bytes] = []
        self._tasks: list[asyncio.Task[None]] = []

    def path(self, open_: OpenWire | None = None, **settings: object) -> Gb28181Path:
        made = self.make(open_ or self._open, **settings)
        self._tasks.append(asyncio.create_task(made.run()))
        return made

    def make(self, open_: OpenWire | None, **settings: object) -> Gb28181Path:
        if not (self.folder / "gb.password").exists():
            (self.folder / "gb.password").write_text(PASSWORD + "\n")
        fields = {"host": "127.0.0.1", "platform_id": PLATFORM, "device_id": DEVICE, "password_file": "gb.password"}
        way = Gb28181(**(fields | {"inputs": INPUTS} | settings))  # type: ignore[arg-type]
        site = Site(
            site=SiteIds(id="s", box="b", name="东方小学"),
            board=Board(model="rpi5"),
            panic_button=(PanicButton(id="gatehouse"), PanicButton(id="office", name="办公室")),
            folder=str(self.folder),
        )
        return Gb28181Path(site, way, self.told, self.told.note, lambda: self.picture, open_)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.platform.forget()

    # ── the link ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _open(self, heard: Heard) -> Wire:
        if self.refuse:
            raise LinkLost("127.0.0.1:5060 cannot be reached")
        self.wires.append(_Joined(self, heard, 40000 + len(self.wires)))
        return self.wires[-1]

    def up(self, data: bytes, wire: _Joined) -> None:
        self.sent.append(data)
        self.noise_up(data, wire)

    def _down(self, data: bytes, peer: object) -> None:
        if isinstance(peer, _Joined):
            self.noises[1](data, peer)

    def _deliver_up(self, data: bytes, wire: _Joined) -> None:
        if not self.away:
            asyncio.get_running_loop().call_later(0.001, self.platform.heard, data, wire)

    def _deliver_down(self, data: bytes, wire: _Joined) -> None:
        if not self.away:
            asyncio.get_running_loop().call_later(0.001, lambda: wire.heard(data))


@contextlib.asynccontextmanager
async def rig_at(folder: Path, seed: int = 0, **platform: object) -> AsyncIterator[Rig]:
    made = Rig(folder, seed, **platform)
    try:
        yield made
    finally:
        await made.close()


@contextlib.asynccontextmanager
async def listening(transport: str) -> AsyncIterator[tuple[Platform, int]]:
    """A platform on a real port."""
    platform = Platform(PASSWORD, send_tcp, transport=transport.upper())
    if transport == "tcp":
        server = await asyncio.start_server(lambda r, w: serve_tcp(platform, r, w), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        yield platform, port
        server.close()
    else:
        link = Udp(platform.heard)
        opened, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: link, ("127.0.0.1", 0))
        platform.send = link.send
        yield platform, opened.get_extra_info("sockname")[1]
        opened.close()
    platform.forget()


def press(seq: int = 7, *, drill: bool = False, kind: str = "panic.pressed", subject: str = "button:office") -> Alarm:
    at = "2026-11-27T08:00:00.000Z"
    record = {"at": at, "data": {"drill": drill}, "epoch": 1, "kind": kind, "seq": seq, "subject": subject}
    return alarm_of(json.dumps(record).encode())


async def until(test: Callable[[], bool], limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not test():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
