"""Sets the demo's stage: a folder with the site file, and every process of a whole gate with its far side."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from agent.demo import console, school
from agent.demo.gate import Gate, fetch
from agent.demo.processes import START_S, Child, DemoError, free_port, python
from hardware import loader
from hardware.site import Site

SITE_FILE = Path(loader.__file__).parent / "sites" / "demo.toml"
PORTS = (11502, 18888, 11883, 18080, 18443)  # as the shipped demo site file names them; taken ones are replaced
DISTRICT_PORT = 18090
SIMULATOR_PORT = 18070
CENTRE_PORT, CENTRE_PAGE = 19099, 18091
PLATFORM_PORT, PLATFORM_PAGE = 15060, 18092
ACCOUNT = "1234"
PASSWORD, PASSWORD_FILE = "the demo's platform", "gb28181.password"
SECOND_PATH = """
# The demo's second way out: a police receiving centre on this machine, heard when the district confirms nothing.
[[uplink.dc09]]
host = "127.0.0.1"
port = {port}
account = "{account}"
priority = 2
supervise_s = 5

# Beside it, with the same priority: a police platform by GB/T 28181. Both get the alarm, and each confirms it.
[[uplink.gb28181]]
host = "127.0.0.1"
port = {platform_port}
platform_id = "34020000002000000001"
device_id = "34020000001170000001"
password_file = "{password_file}"
inputs = ["34020000001340000001", "34020000001340000002", "34020000001340000003"]
keepalive_s = 5
priority = 2
"""


COMMAND_KEY = """
# The key with which the demo's district signs commands.
[[uplink.command_key]]
id = "district"
file = "district.pub"
"""


class Stage:
    """The processes: broker, simulator, district, receiving centre, platform, and the box with all its roles."""

    def __init__(self, folder: Path, broker: str | None = None) -> None:
        """`broker`: "mosquitto" or "iotcore"; None takes mosquitto where it is installed, else the embedded one."""
        kind = ("--kind", broker) if broker else ()
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.site_file = self.folder / "gatebox.toml"
        school.make_keys(self.folder)
        self.site = self._site()
        mqtt = self.site.uplink.mqtt
        assert mqtt is not None, "the demo's site file has an MQTT uplink"
        address = f"127.0.0.1:{mqtt.port}"
        district, simulator = free_port(DISTRICT_PORT), free_port(SIMULATOR_PORT)
        folder_text = str(self.folder)
        self.broker = Child(
            "broker",
            python("-m", "sim.broker", "--port", str(mqtt.port), "--dir", f"{folder_text}/broker", *kind),
            self.folder,
        )
        self.simulator = Child(
            "simulator",
            python("-m", "sim", "--site", str(self.site_file), "--http", str(simulator)),
            self.folder,
            urgent=True,
        )
        self.district = Child(
            "district",
            python("-m", "sim.district", "--broker", address, "--db", f"{folder_text}/district.db", "--http",
                   str(district), "--command-key", f"{folder_text}/district.key"),
            self.folder,
        )  # fmt: skip
        self.centre = self._centre()
        self.platform = self._platform()
        run = python("-m", "agent", "run", "--config", str(self.site_file))
        self.box = Child("box", run, self.folder, urgent=True)

    def _centre(self) -> Child | None:
        """The receiving centre, where the site file names one on this machine."""
        way = next((way for way in self.site.uplink.dc09 if way.host == "127.0.0.1" and not way.key_file), None)
        if way is None:
            return None
        ports = ("--port", str(way.port), "--http", str(free_port(CENTRE_PAGE)))
        return Child("centre", python("-m", "sim.dc09", "--account", way.account, *ports), self.folder)

    def _platform(self) -> Child | None:
        """The police platform, where the site file names one on this machine."""
        way = next((way for way in self.site.uplink.gb28181 if way.host == "127.0.0.1"), None)
        if way is None:
            return None
        password = (self.folder / way.password_file).read_text("utf-8").strip()
        kept = ("--log", str(self.folder / "platform.jsonl"))
        ports = ("--port", str(way.port), "--http", str(free_port(PLATFORM_PAGE)), "--transport", way.transport)
        return Child("platform", python("-m", "sim.gb28181", "--password", password, *kept, *ports), self.folder)

    def _site(self) -> Site:
        """The demo's site file in this folder, on ports that are free here. An edited one is kept."""
        kept = self.site_file.exists()
        if not kept:
            text = SITE_FILE.read_text("utf-8")
            for port in PORTS:
                text = text.replace(str(port), str(free_port(port)))
            text += COMMAND_KEY
            ports = {"port": free_port(CENTRE_PORT), "platform_port": free_port(PLATFORM_PORT)}
            text += SECOND_PATH.format(**ports, account=ACCOUNT, password_file=PASSWORD_FILE)
            (self.folder / PASSWORD_FILE).touch(0o600)
            (self.folder / PASSWORD_FILE).write_text(PASSWORD + "\n", "utf-8")
            self.site_file.write_text(text, "utf-8")
        site, mistakes = loader.load(self.site_file)
        if site is None or mistakes:
            raise DemoError(f"{self.site_file} has mistakes; see them with: menwei check {self.site_file}")
        if kept:
            self._need_free(site)
        return site

    def _need_free(self, site: Site) -> None:
        """A gate of an earlier day keeps its ports. Raises DemoError when somebody else has one of them now."""
        taken = next((port for port in _ports(site) if free_port(port) != port), None)
        if taken is not None:
            raise DemoError(
                f"{self.site_file} names port {taken}, which another program uses now; stop that program, "
                "or delete this file to get a fresh one"
            )

    @property
    def children(self) -> tuple[Child, ...]:
        return (self.broker, self.simulator, self.district, *self.others, self.box)

    @property
    def others(self) -> tuple[Child, ...]:
        """Who hears an alarm besides the district."""
        return tuple(child for child in (self.centre, self.platform) if child is not None)

    def start(self) -> Gate:
        """Start everything in order; returns the hands and eyes. Raises DemoError, with nothing left running."""
        try:
            self.broker.start()
            self.broker.wait_ready()
            self.simulator.start()
            simulator = str(self.simulator.wait_ready()["http"])
            self.district.start()
            district = str(self.district.wait_ready()["url"])
            for child in self.others:
                child.start()
            centre, platform = _url(self.centre), _url(self.platform)
            password = console.renew_account(self.site)
            self.box.start()
            web = f"http://{self.site.web.listen[0]}"
            gate = Gate(self.site, simulator, district, web, self.folder, centre, platform, password)
            self._wait_for_box(gate)
            school.apply(self.site, school.make_bundle(self.folder))
        except BaseException:
            self.stop()
            raise
        return gate

    def _wait_for_box(self, gate: Gate) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if not self.box.running():
                raise DemoError(f"the box did not start; its last words:\n{self.box.last_words()}")
            try:
                fetch(f"{gate.web}/healthz", timeout_s=2)  # 503 until a round trip through control has finished
            except DemoError:
                time.sleep(0.1)
                continue
            return
        raise DemoError(f"the box's page does not answer; its last words:\n{self.box.last_words(20)}")

    def stop(self) -> None:
        for child in reversed(self.children):
            child.stop()

    def died(self) -> Child | None:
        """A process that has ended though nobody asked it to."""
        return next((child for child in self.children if not child.running()), None)

    def forget(self) -> None:
        """Remove what the demo made."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _url(child: Child | None) -> str:
    """The page of one that is starting, once it is there."""
    return "" if child is None else str(child.wait_ready()["url"])


def _ports(site: Site) -> list[int]:
    """Every TCP port on this machine that the site file names."""
    assert site.uplink.mqtt is not None, "the demo's site file has an MQTT uplink"
    texts = [site.board.gpio_address, *site.web.listen, *site.web.guard_listen]
    named = [int(text.rpartition(":")[2]) for text in texts if text]
    return [*named, site.uplink.mqtt.port, *_dc09_ports(site), *(bus.port for bus in site.bus if bus.kind == "tcp")]


def _dc09_ports(site: Site) -> list[int]:
    return [way.port for way in site.uplink.dc09 if way.host == "127.0.0.1"]
