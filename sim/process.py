"""The simulator's process: reads the site file, serves it, says where in one line of JSON, ends on SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hardware.loader import load
from hardware.site import Site
from sim.plc import PortTaken, loopback
from sim.realtime import new_loop

if TYPE_CHECKING:
    import uvicorn

    from sim.simulator import Simulator

MISUSE = 2


def main(argv: Sequence[str]) -> int:
    """Run until interrupted. 0 when it ended in order, 2 when the site file or an address cannot be used."""
    arguments = _parser().parse_args(argv)
    site, mistakes = load(arguments.site)
    for mistake in mistakes:
        print(f"{arguments.site}:{mistake.line}: {mistake.key}: {mistake.wrong}; {mistake.right}", file=sys.stderr)
    if site is None:
        return MISUSE
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_run(site, arguments.seed, arguments.http))
    except PortTaken as error:
        print(f"sim: {error}", file=sys.stderr)
        return MISUSE
    except KeyboardInterrupt:
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sim",
        description="Simulates the hardware of a site: bollard PLCs, relay and analogue boards, pins, card readers.",
    )
    parser.add_argument("--site", type=Path, required=True, metavar="FILE", help="the site file (gatebox.toml)")
    parser.add_argument("--http", type=_address, default=("127.0.0.1", 0), metavar="[HOST:]PORT",
                        help="where the verbs and the page are served; a free loopback port by default")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of the chances inside faults")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not loopback(host):
        raise argparse.ArgumentTypeError(f"{host} is not loopback; the simulator serves this machine only")
    if not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{port!r} is no port")
    return host, int(port)


async def _run(site: Site, seed: int, address: tuple[str, int]) -> None:
    from sim.console import Console
    from sim.simulator import Simulator

    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    with _listening(address) as listener:
        sim = Simulator(site, seed)
        try:
            await sim.open()
            console = Console(sim)
            ready = asyncio.Event()
            server = _server(console.app(), ready)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            await ready.wait()
            print(json.dumps(_where(sim, listener)), flush=True)
            await stop.wait()
            console.closing.set()
            server.should_exit = True
            await serving
        finally:
            sim.close()


def _where(sim: Simulator, listener: socket.socket) -> dict[str, object]:
    host, port = listener.getsockname()[:2]
    return {
        "http": f"http://{f'[{host}]' if ':' in host else host}:{port}",
        "pins": sim.pins.address,
        "buses": {name: bus.address for name, bus in sim.buses.items()},
        "readers": {name: line.address for name, line in sim.readers.items()},
    }


@contextlib.contextmanager
def _listening(address: tuple[str, int]) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise PortTaken("http", f"{address[0]}:{address[1]}", error) from error
        yield listener


def _server(app: object, ready: asyncio.Event) -> uvicorn.Server:
    """A server that leaves the signals to us and tells when it listens."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready.set()

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
        server_header=False,
        ws="none",
        http="h11",
    )
    return Server(config)
