"""The bench's rig: a folder, a site file on free ports, and the real processes of one gate."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.demo.gate import Entry, Gate
from agent.demo.processes import Child, DemoError, python
from hardware import loader
from hardware.site import Site
from sim.ports import free_port

SITES = Path(loader.__file__).parent / "sites"
PORTS = ("28888", "21502", "21883", "28080")


class Rig:
    """One gate to measure. `close` ends every process and removes the folder."""

    def __init__(self, site: str = "bench", environment: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="menwei-bench-"))
        self.site_file = self.folder / "gatebox.toml"
        text = (SITES / f"{site}.toml").read_text("utf-8")
        for port in PORTS:
            text = text.replace(port, str(free_port()))
        self.site_file.write_text(text, "utf-8")
        self.site = self._load()
        self.environment = dict(environment or {})
        self.children: list[Child] = []
        self.gate: Gate | None = None

    def _load(self) -> Site:
        site, mistakes = loader.load(self.site_file)
        if site is None:
            raise DemoError(f"{self.site_file}: {mistakes}")
        return site

    def child(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Child:
        child = Child(name, command, self.folder, environment=dict(environment or {}))
        child.start()
        self.children.append(child)
        return child

    def start_simulator(self) -> Gate:
        ready = self.child("simulator", python("-m", "sim", "--site", str(self.site_file))).wait_ready()
        self.gate = Gate(self.site, str(ready["http"]), "", f"http://{self.site.web.listen[0]}", self.folder)
        return self.gate

    def start_broker(self) -> None:
        assert self.site.uplink.mqtt is not None
        port = str(self.site.uplink.mqtt.port)
        self.child("broker", python("-m", "sim.broker", "--port", port, "--dir", f"{self.folder}/broker")).wait_ready()

    def start_district(self) -> str:
        assert self.site.uplink.mqtt is not None
        address = f"127.0.0.1:{self.site.uplink.mqtt.port}"
        command = python("-m", "sim.district", "--broker", address, "--db", f"{self.folder}/district.db", "--http", "0")
        url = str(self.child("district", command).wait_ready()["url"])
        if self.gate is not None:
            self.gate.district = url
        return url

    def start_role(self, role: str) -> Child:
        """Start a role of the box, with the rig's environment."""
        return self.child(role, python("-m", "agent", role, "--config", str(self.site_file)), self.environment)

    @property
    def socket(self) -> Path:
        return self.folder / self.site.storage.run_dir / "control.sock"

    def close(self) -> None:
        for child in reversed(self.children):
            child.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def until(what: str, test: Callable[[], Any], limit_s: float = 30.0, every_s: float = 0.02) -> Any:
    """Poll until true; DemoError naming `what` past the limit."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            result = test()
        except (DemoError, OSError):
            result = None
        if result:
            return result
        time.sleep(every_s)
    raise DemoError(f"{what}: not within {limit_s:g} s")


def pin_entries(entries: Sequence[Entry], gpio: int, level: int) -> list[Entry]:
    return [e for e in entries if e["kind"] == "pin" and e["gpio"] == gpio and e["level"] == level]
