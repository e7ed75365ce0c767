"""The far side: the district's receiver, as small as it can be and still be believed.

It keeps what boxes send in SQLite at `synchronous=FULL` and only then answers with a receipt. It shows duplicates,
gaps, late records and alarms, and lets an operator say "coming" and "arrived".

`python -m sim.district --broker 127.0.0.1:1883 --db district.db --http 0` prints one JSON line with its URL.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path

from sim.district_wire import Wire
from sim.district_writer import Message, Writer
from sim.orders import Signer

BROKER_WAIT_S = 2.0


class District:
    """Writer, wire and page in one; `start` and `stop` are for whoever embeds it."""

    def __init__(
        self,
        broker: tuple[str, int],
        db: Path,
        auto_coming_s: float | None = None,
        tls: ssl.SSLContext | None = None,
        signer: Signer | None = None,
    ) -> None:
        self.signer = signer
        self._broker = broker
        self._db = db
        self.wire = Wire(self._take, tls)
        self.writer = Writer(db, self.wire.send, auto_coming_s)
        self._thread = threading.Thread(target=self.writer.run, name="writer", daemon=True)

    def _take(self, message: Message) -> None:
        self.writer.put(message)

    def start(self) -> None:
        """Open the database, then go to the broker; returns with the database open. Raises OSError if it cannot be."""
        self._db.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        self.writer.ready.wait()
        if self.writer.failure:
            raise OSError(self.writer.failure)
        self.wire.start(*self._broker)

    def stop(self) -> None:
        self.wire.stop()
        self.writer.stop()
        self._thread.join(10)


async def serve(district: District, db: Path, port: int, broker: str) -> None:
    """Serve the page until SIGINT or SIGTERM; print the ready line once it answers."""
    import uvicorn

    from sim.district_http import Commander, make_app

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            connected = await asyncio.to_thread(district.wire.wait, BROKER_WAIT_S)
            print(json.dumps({"url": url, "broker": broker, "connected": connected, "db": str(db)}), flush=True)

    app = make_app(district.writer, db, lambda: district.wire.connected, Commander(district.signer, district.wire))
    await Server(uvicorn.Config(app, log_level="warning", access_log=False)).serve(sockets=[listener])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sim.district", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")
    parser.add_argument("--db", type=Path, default=Path("district.db"))
    parser.add_argument("--http", type=int, default=0, metavar="PORT", help="0 takes a free one")
    parser.add_argument("--auto-coming", type=float, metavar="SECONDS", help="say 'coming' by itself after an alarm")
    parser.add_argument("--command-key", type=Path, metavar="FILE", help="signs commands; made where it is missing")
    parser.add_argument("--tls", nargs=3, metavar=("CA", "CERT", "KEY"), help="PEM files, for a broker with TLS")
    options = parser.parse_args(argv)
    host, _, port = options.broker.rpartition(":")
    if not host or not port.isdecimal():
        parser.error(f"--broker is HOST:PORT, not {options.broker!r}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        signer = Signer.of(options.command_key) if options.command_key else None
        district = District((host, int(port)), options.db, options.auto_coming, _tls(options.tls), signer)
        district.start()
        with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(serve(district, options.db, options.http, options.broker))
        district.stop()
    except OSError as error:
        print(f"district: {error}", file=sys.stderr)
        return 1
    return 0


def _tls(files: list[str] | None) -> ssl.SSLContext | None:
    if files is None:
        return None
    ca, cert, key = files
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(cert, key)
    return context


if __name__ == "__main__":
    sys.exit(main())
