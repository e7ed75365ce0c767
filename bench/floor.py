"""The bare floors: the same pins, PLC, disk and broker with nothing of ours between them.

`python -m bench.floor modbus|disk|broker --site FILE [--background N]` waits for presses, does the one thing, and
prints a JSON line for each: `{"edge_ns": …, "done_ns": …}`, both monotonic. `edge_ns` is when gpiozero's callback ran.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hardware import loader, places
from hardware.site import Site

BODY = b"x" * 300  # about as long as a record
GROUP = 60


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("modbus", "disk", "broker"))
    parser.add_argument("--site", type=Path, required=True)
    parser.add_argument("--background", type=int, default=0, help="rows a second written beside")
    arguments = parser.parse_args()
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    site, _ = loader.load(arguments.site)
    assert site is not None
    if arguments.background:
        folder = places.storage_dir(site)
        threading.Thread(target=_background, args=(folder, arguments.background), daemon=True).start()
    match arguments.what:
        case "modbus":
            asyncio.run(_modbus(site))
        case "disk":
            _disk(site, lambda seq: None)
        case _:
            _disk(site, _publisher(site))
    return 0


def _button(site: Site, pressed: Callable[[int], None]) -> object:
    """gpiozero's own button on gpiozero's own pigpio factory."""
    from gpiozero import Button
    from gpiozero.pins.pigpio import PiGPIOFactory

    host, _, port = site.board.gpio_address.partition(":")
    factory = PiGPIOFactory(host=host, port=int(port))
    button = Button(int(site.panic_button[0].no.partition(":")[2]), pin_factory=factory)
    button.when_pressed = lambda: pressed(time.monotonic_ns())
    print(json.dumps({"ready": True}), flush=True)
    return button


async def _modbus(site: Site) -> None:
    from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

    bus = site.bus[0]
    client: AsyncModbusTcpClient | AsyncModbusSerialClient
    if bus.kind == "tcp":
        client = AsyncModbusTcpClient(bus.host, port=bus.port, retries=0, timeout=1)
    else:
        device = str(places.device_path(site, bus.device))
        client = AsyncModbusSerialClient(device, baudrate=bus.baud, retries=0, timeout=1)
    await client.connect()
    loop = asyncio.get_running_loop()
    edges: asyncio.Queue[int] = asyncio.Queue()

    def pressed(ns: int) -> None:
        loop.call_soon_threadsafe(edges.put_nowait, ns)

    button = _button(site, pressed)
    token = 0
    while button is not None:
        edge_ns = await edges.get()
        token = token % 255 + 1
        await client.write_register(8, token << 8 | 3, device_id=site.lane[0].unit)
        _tell(edge_ns)


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS row(seq INTEGER PRIMARY KEY, body BLOB)")
    return connection


def _disk(site: Site, then: Callable[[int], None]) -> None:
    edges: queue.SimpleQueue[int] = queue.SimpleQueue()
    connection = _connect(places.storage_dir(site) / "floor.db")
    button = _button(site, edges.put)
    seq = 0
    while button is not None:
        edge_ns = edges.get()
        seq += 1
        connection.execute("INSERT INTO row(body) VALUES(?)", (BODY,))
        then(seq)
        _tell(edge_ns)


def _publisher(site: Site) -> Callable[[int], None]:
    """Publish to the alarm topic; the bench's own subscriber stamps the arrival."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    assert site.uplink.mqtt is not None
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.connect(site.uplink.mqtt.host, site.uplink.mqtt.port)
    client.loop_start()
    topic = f"menwei/v1/{site.site.id}/{site.site.box}/alarm"

    def publish(seq: int) -> None:
        client.publish(topic, json.dumps({"kind": "panic.pressed", "seq": seq}), qos=1)

    return publish


def _background(folder: Path, rows_a_second: int) -> None:
    connection = _connect(folder / "background.db")
    due = time.monotonic()
    while True:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO row(body) VALUES(?)", [(BODY,)] * GROUP)
        connection.execute("COMMIT")
        due += GROUP / rows_a_second
        time.sleep(max(0.0, due - time.monotonic()))


def _tell(edge_ns: int) -> None:
    print(json.dumps({"edge_ns": edge_ns, "done_ns": time.monotonic_ns()}), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
