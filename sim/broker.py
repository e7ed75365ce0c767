"""An MQTT 5 broker as a child process, for the demo, the tests and the bench.

mosquitto where it is installed, else the one inside the `iotcore` wheel. Both speak plain MQTT on loopback without
log-ins; with `tls` they want client certificates, as a district's broker does.

`python -m sim.broker --port N --dir D` runs one until interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from sim.ports import free_port
from sim.server_process import ServerError, ServerProcess

Kind: TypeAlias = Literal["mosquitto", "iotcore"]


class BrokerError(ServerError):
    """As its base says."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of the broker; clients must show a certificate signed by `ca_file`."""

    ca_file: Path
    cert_file: Path
    key_file: Path


class BrokerProcess(ServerProcess):
    """A running broker."""

    error = BrokerError
    end_s = 5.0

    def __init__(self, kind: Kind, command: list[str], folder: Path, host: str, port: int) -> None:
        self.kind = kind
        self.host = host
        self.port = port
        self.folder = folder
        super().__init__(f"{kind} does not start on {host}:{port}", command, folder / "broker.log")

    def _before_start(self) -> None:
        _refuse_taken_port(self.host, self.port)

    def _answers(self) -> bool:
        return _answers(self.host, self.port)


def start_broker(
    folder: Path, port: int = 0, *, tls: Tls | None = None, kind: Kind | None = None, host: str = "127.0.0.1"
) -> BrokerProcess:
    """Start a broker that keeps its things in `folder`; port 0 takes a free one, kind None takes what is there.

    Raises BrokerError when none is installed, the port is taken, or it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = kind or ("mosquitto" if mosquitto_path() else "iotcore")
    port = port or free_port(host)
    command = _mosquitto(folder, host, port, tls) if chosen == "mosquitto" else _iotcore(folder, host, port, tls)
    broker = BrokerProcess(chosen, command, folder, host, port)
    broker.start()
    return broker


def mosquitto_path() -> str | None:
    """Debian puts it where an ordinary user's PATH does not look."""
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def _mosquitto(folder: Path, host: str, port: int, tls: Tls | None) -> list[str]:
    program = mosquitto_path()
    if program is None:
        raise BrokerError("mosquitto is not installed (apt install mosquitto)")
    lines = [
        f"listener {port} {host}",
        "allow_anonymous true",
        "set_tcp_nodelay true",  # else a command and its reply take 24 ms instead of 1
        "persistence true",
        f"persistence_location {folder.resolve()}/",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # else it drops to a user that cannot read a private folder
    if tls is not None:
        lines += [f"cafile {tls.ca_file.resolve()}", f"certfile {tls.cert_file.resolve()}"]
        lines += [f"keyfile {tls.key_file.resolve()}", "require_certificate true"]
    path = folder / "mosquitto.conf"
    path.write_text("\n".join(lines) + "\n")
    return [program, "-c", str(path)]


def _iotcore(folder: Path, host: str, port: int, tls: Tls | None) -> list[str]:
    try:
        import iotcore  # noqa: F401  # asked whether it is there; a process of its own runs it
    except ImportError:
        raise BrokerError("no broker here: install mosquitto, or the Python package iotcore") from None
    text = f"""id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
[v5.1]
name = "mqtt5"
listen = "{host}:{port}"
next_connection_delay_ms = 1
"""
    if tls is not None:
        text += f"""    [v5.1.tls]
    capath = {json.dumps(str(tls.ca_file.resolve()))}
    certpath = {json.dumps(str(tls.cert_file.resolve()))}
    keypath = {json.dumps(str(tls.key_file.resolve()))}
"""
    text += """    [v5.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = 1048576
    max_inflight_count = 100
    dynamic_filters = true
"""
    path = folder / "iotcore.toml"
    path.write_text(text)
    return [sys.executable, "-m", "sim.broker", "--embedded", str(path)]


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BrokerError(f"port {port} on {host} cannot be used: {error.strerror}") from None


def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.5):
        return True
    return False


def _serve_embedded(config: str) -> None:
    """The child: the broker has no shutdown call, so it ends with its parent's pipe."""
    from iotcore import IotCoreBroker

    threading.Thread(target=_end_with_parent, daemon=True).start()
    IotCoreBroker(config_path=config).run_forever()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sim.broker", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--dir", type=Path, default=Path("broker-data"))
    parser.add_argument("--kind", choices=("mosquitto", "iotcore"))
    parser.add_argument("--embedded", metavar="TOML", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.embedded:
        _serve_embedded(options.embedded)
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        broker = start_broker(options.dir, options.port, kind=options.kind, host=options.host)
    except BrokerError as error:
        print(f"broker: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"host": broker.host, "port": broker.port, "kind": broker.kind}), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    broker.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
