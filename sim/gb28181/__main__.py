"""A police platform that speaks GB/T 28181, strictly: what the standard does not allow is refused or not answered."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
from pathlib import Path

from sim.gb28181.http import make_app
from sim.gb28181.platform import Platform
from sim.gb28181.wires import Udp, send_tcp, serve_tcp


async def run(options: argparse.Namespace) -> None:
    """Serve until told to stop; print the ready line once both ports answer."""
    import uvicorn

    loop = asyncio.get_running_loop()
    platform = Platform(options.password, send_tcp, options.log, transport=options.transport.upper())
    if options.transport == "tcp":
        server = await asyncio.start_server(lambda r, w: serve_tcp(platform, r, w), "127.0.0.1", options.port)
        port = server.sockets[0].getsockname()[1]
    else:
        link = Udp(platform.heard)
        transport, _ = await loop.create_datagram_endpoint(lambda: link, local_addr=("127.0.0.1", options.port))
        platform.send = link.send
        port = transport.get_extra_info("sockname")[1]
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", options.http))
    print(json.dumps({"port": port, "url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
    config = uvicorn.Config(make_app(platform), log_level="warning", access_log=False)
    await uvicorn.Server(config).serve(sockets=[listener])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sim.gb28181", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--password", required=True)
    parser.add_argument("--log", type=Path, help="keep the alarms in this file")
    parser.add_argument("--transport", choices=("udp", "tcp"), default="udp")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--http", type=int, default=0, help="0 takes a free one")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(run(options))
    return 0


sys.exit(main())
