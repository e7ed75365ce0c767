"""Two servers to try the streams on: the real one as a process, and fakeredis behind a socket of its own."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import redis
from fakeredis import TcpFakeServer
from uplink_rig import BOX, SITE

from hardware.site import Board, Mqtt, Redis, Site, SiteIds, Storage, Uplinks
from sim.ports import free_port
from sim.redis_server import RedisProcess

KEY = f"menwei:{SITE}:{BOX}"
ALARMS = f"{KEY}:alarm"


class RealServer:
    """redis-server with an append-only file that is synced before each answer."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.process = RedisProcess(folder, free_port(), **more)
        self.process.start()
        self.port = self.process.port

    def stop(self) -> None:
        self.process.stop()


class FakeServer:
    """fakeredis; it forbids CONFIG, as many hosted servers do."""

    def __init__(self) -> None:
        self._server = TcpFakeServer(("127.0.0.1", 0))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Far:
    """What the far side holds, asked with redis-py's ordinary client."""

    def __init__(self, port: int, **more: Any) -> None:
        self.client: Any = redis.Redis(host="127.0.0.1", port=port, protocol=2, **more)

    def entries(self, key: str = KEY) -> list[tuple[tuple[int, int], bytes]]:
        return [(_ref(name), fields[b"body"]) for name, fields in self.client.xrange(key)]

    def refs(self, key: str = KEY) -> list[tuple[int, int]]:
        return [ref for ref, _ in self.entries(key)]

    def put(self, ref: tuple[int, int], body: bytes, key: str = KEY) -> None:
        self.client.xadd(key, {"body": body}, id=f"{ref[0]}-{ref[1]}")

    def close(self) -> None:
        self.client.close()


def _ref(name: bytes) -> tuple[int, int]:
    epoch, _, seq = name.partition(b"-")
    return int(epoch), int(seq)


def redis_site(folder: Path, port: int, mqtt_port: int = 0, **more: Any) -> Site:
    """A site whose journal goes to Redis, and to a broker besides where one is given."""
    way = msgspec.convert({"host": "127.0.0.1", "port": port, "tls": False} | more, Redis)
    mqtt = Mqtt(host="127.0.0.1", port=mqtt_port, tls=False) if mqtt_port else None
    return Site(
        site=SiteIds(id=SITE, box=BOX),
        board=Board(model="pi-4"),
        storage=Storage(dir="state", run_dir="run"),
        uplink=Uplinks(mqtt=mqtt, redis=way),
        folder=str(folder),
    )
