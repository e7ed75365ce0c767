"""`python -m sim.fleet`: starts the workers and keeps them running; prints one JSON line once all of them serve."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

from redis.exceptions import RedisError

from sim.fleet.plan import part_of
from sim.fleet.streams import NotDurable, Streams
from sim.fleet.wire import Wire
from sim.fleet.worker import Worker

RESTART_S = 0.5
RELOAD_S = 2.0  # D: so often the list of boxes is looked at
NOT_DURABLE = 3  # exit code of a worker that must not be started again
WAIT_S = 0.5


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        return serve(options) if options.worker is not None else supervise(options, argv or sys.argv[1:])
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.fleet", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")
    parser.add_argument(
        "--redis", default="redis://127.0.0.1:6379", metavar="URL", help="redis://, rediss:// or unix://"
    )
    parser.add_argument("--workers", type=int, default=2, help="one process and one partition of the boxes each")
    parser.add_argument("--worker", type=int, metavar="K", help="be only worker K (from 0) of --workers")
    parser.add_argument("--vouch", action="store_true", help="Redis syncs before it answers, although it does not tell")
    parser.add_argument("--boxes", type=Path, metavar="FILE", help="one <site>/<box> a line; others are not heard")
    parser.add_argument("--tls", nargs=3, metavar=("CA", "CERT", "KEY"), help="PEM files, for a broker with TLS")
    parser.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)  # end when standard input does
    options = parser.parse_args(argv)
    host, _, port = options.broker.rpartition(":")
    if not host or not port.isdecimal():
        parser.error(f"--broker is HOST:PORT, not {options.broker!r}")
    if options.workers < 1 or not 0 <= (options.worker or 0) < options.workers:
        parser.error("--worker is a number from 0 to one less than --workers")
    return options


# ── one worker ─────────────────────────────────────────────────────────────────────────────────────────────────────


def serve(options: argparse.Namespace) -> int:
    """Be one worker until a signal comes, or the supervisor is gone."""
    if options.with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    streams = Streams(options.redis, vouched=options.vouch)
    if not _reach(streams):
        return NOT_DURABLE
    host, _, port = options.broker.rpartition(":")
    name, tls = f"{options.worker}-{options.workers}", _tls(options.tls)
    listed = options.boxes is not None
    wire = Wire(name, lambda *message: worker.take(*message), lambda topics: worker.heard(topics), tls, listed=listed)
    worker = Worker(options.worker, options.workers, streams, wire.send, wire.hear)
    wire.start(host, int(port))
    if listed:
        threading.Thread(target=_follow, args=(options, wire), daemon=True).start()
    threading.Thread(target=_ready, args=(wire, options.worker), daemon=True).start()
    try:
        worker.run()
    finally:
        wire.stop()
        streams.close()
    return 0


def _reach(streams: Streams) -> bool:
    """Wait for Redis; False when it is there and is not durable."""
    while True:
        try:
            streams.open()
            return True
        except NotDurable as error:
            print(f"fleet: no receipt could be believed: {error}", file=sys.stderr, flush=True)
            return False
        except RedisError as error:
            print(f"fleet: waiting for Redis: {error}", file=sys.stderr, flush=True)
            time.sleep(WAIT_S)


def _end_with_parent() -> None:
    while os.read(0, 1):  # unbuffered: a buffer's lock held here would abort the interpreter's own end
        pass
    os._exit(0)


def _follow(options: argparse.Namespace, wire: Wire) -> None:
    """Hear the listed boxes of this partition, new ones too soon after they are written down."""
    read_at = 0
    while True:
        changed_at = options.boxes.stat().st_mtime_ns if options.boxes.exists() else read_at
        if changed_at != read_at:
            read_at = changed_at
            try:
                boxes = read_boxes(options.boxes.read_text("utf-8"))
            except ValueError as error:
                print(f"fleet: {options.boxes}: {error}; the list before it stays", file=sys.stderr, flush=True)
                continue
            wire.hear(box for box in boxes if part_of(*box, options.workers) == options.worker)
        time.sleep(RELOAD_S)


def read_boxes(text: str) -> list[tuple[str, str]]:
    """(site, box) of each line; empty lines and `#` comments are passed over. Raises ValueError naming the line."""
    found: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        site, slash, box = entry.partition("/")
        if (entry and not (site and slash and box)) or any(mark in entry for mark in "+ \t") or "/" in box:
            raise ValueError(f"line {number} is no <site>/<box>: {entry!r}")
        if entry:
            found.append((site, box))
    return found


def _ready(wire: Wire, number: int) -> None:
    while not wire.wait(1.0):
        pass
    print(json.dumps({"worker": number, "pid": os.getpid()}), flush=True)


def _tls(files: list[str] | None) -> ssl.SSLContext | None:
    if files is None:
        return None
    ca, cert, key = files
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(cert, key)
    return context


# ── the supervisor ─────────────────────────────────────────────────────────────────────────────────────────────────


class _Child:
    """One worker's process; it ends with us, whatever ends us."""

    def __init__(self, number: int, arguments: list[str]) -> None:
        self.number = number
        self._command = [sys.executable, "-m", "sim.fleet", *arguments, "--with-parent", "--worker", str(number)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def supervise(options: argparse.Namespace, arguments: list[str]) -> int:
    """Keep every worker running. Returns 1 when Redis is not durable."""
    children = [_Child(number, arguments) for number in range(options.workers)]
    try:
        pids = [_first_line(child) for child in children]
        if None not in pids:
            print(json.dumps({"workers": pids, "broker": options.broker}), flush=True)
        while not any(child.process.poll() == NOT_DURABLE for child in children):
            time.sleep(RESTART_S)
            for child in children:
                if child.process.poll() not in (None, NOT_DURABLE):
                    print(f"fleet: worker {child.number} ended and is started again", file=sys.stderr, flush=True)
                    child.end()
                    child.start()
        return 1
    finally:
        for child in children:
            child.end()


def _first_line(child: _Child) -> int | None:
    """The worker's process id once it serves; None when it ended before that."""
    assert child.process.stdout is not None
    line = child.process.stdout.readline()
    return int(json.loads(line)["pid"]) if line else None


if __name__ == "__main__":
    sys.exit(main())
