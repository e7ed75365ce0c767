"""Hands and eyes of the demo: the simulator's verbs, its witness at the wire, and the district's page."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.demo.processes import PATIENCE, DemoError
from hardware.site import Site
from hardware.terminals import Gpio, Use, uses

Entry = dict[str, Any]
WITHIN_S = 30.0  # far more than anything at the gate takes: how long it took is measured, and told beside it
NOT_WITHIN = "not within {limit:g} s: {what}"


def fetch(url: str, body: dict[str, Any] | None = None, timeout_s: float = 20.0) -> Any:
    """GET, or POST with a JSON body. Raises DemoError with the peer's own words, KeyboardInterrupt once told to end."""
    PATIENCE.check()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise DemoError(f"{url}: {error.read().decode(errors='replace')}") from None
    except (OSError, ValueError) as error:
        raise DemoError(f"{url}: {error}") from None


class Gate:
    """One simulated gate and its district."""

    def __init__(
        self,
        site: Site,
        simulator: str,
        district: str,
        web: str,
        folder: Path,
        centre: str = "",
        platform: str = "",
        password: str = "",
    ) -> None:
        self.site = site
        self.simulator = simulator
        self.district = district
        self.web = web
        self.centre = centre
        self.platform = platform
        self.console = f"https://{site.web.guard_listen[0]}/guard" if site.web.guard_listen else ""
        self.password = password  # of the log-in "gate" at the guard console
        self.folder = folder
        self._pins: dict[tuple[str, str, str], Use] = {(use.role, use.owner, use.part): use for use in uses(site)}

    # ── hands ──────────────────────────────────────────────────────────────────────────────────────────────────

    def do(self, verb: str, **body: Any) -> int:
        """One verb of the simulator; returns the monotonic ns just before it was asked."""
        before = time.monotonic_ns()
        fetch(f"{self.simulator}/{verb}", body)
        return before

    def say(self, alarm: Entry, stage: str) -> None:
        """The district's operator moves an alarm on: "coming", "arrived"."""
        body = {"box": f"{alarm['site']}/{alarm['box']}", "epoch": alarm["epoch"], "seq": alarm["seq"], "stage": stage}
        fetch(f"{self.district}/stage", body)

    def ask_platform(self, what: str) -> None:
        """The police platform asks for DeviceInfo and the like, or orders ResetAlarm and the like."""
        fetch(f"{self.platform}/ask", {"what": what})

    def order(self, verb: str, lie: str = "", **args: str) -> None:
        """The district gives the box a signed command, or sends what must be refused."""
        ids = self.site.site
        fetch(f"{self.district}/command", {"box": f"{ids.id}/{ids.box}", "verb": verb, "args": args, "lie": lie})

    # ── eyes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def world(self) -> Entry:
        world: Entry = fetch(f"{self.simulator}/world")
        return world

    def wire(self, since_ns: int) -> list[Entry]:
        told = fetch(f"{self.simulator}/wire?since={since_ns}")
        entries: list[Entry] = told["wire"] if isinstance(told, dict) else told
        return entries

    def alarms(self, kind: str = "panic.pressed") -> list[Entry]:
        """The district's alarms of that kind, oldest first, with `received_ns` on the wire's own clock (to 1 ms)."""
        wall_ahead_ns = time.time_ns() - time.monotonic_ns()
        found = [alarm for alarm in fetch(f"{self.district}/alarms")["alarms"] if alarm["record"]["kind"] == kind]
        for alarm in found:
            alarm["received_ns"] = alarm["received_ms"] * 1_000_000 - wall_ahead_ns
        return sorted(found, key=lambda alarm: (alarm["epoch"], alarm["seq"]))

    def messages(self) -> list[Entry]:
        """What the receiving centre has taken by SIA DC-09, oldest first."""
        messages: list[Entry] = fetch(f"{self.centre}/messages")["messages"] if self.centre else []
        return messages

    def at_platform(self) -> list[Entry]:
        """The alarms that the police platform has taken by GB/T 28181, oldest first."""
        alarms: list[Entry] = fetch(f"{self.platform}/messages")["messages"] if self.platform else []
        return alarms

    def records(self, box: str) -> list[Entry]:
        """Every record that the district has of a box."""
        found: list[Entry] = []
        while True:
            since = found[-1]["seq"] if found else 0
            page: list[Entry] = fetch(f"{self.district}/records?box={box}&since={since}&limit=10000")["records"]
            if not page:
                return found
            found += page

    def boxes(self) -> list[Entry]:
        boxes: list[Entry] = fetch(f"{self.district}/boxes")["boxes"]
        return boxes

    def state(self) -> Entry:
        """The box's own picture, from its status page."""
        state: Entry = fetch(f"{self.web}/api/v1/state")
        picture: Entry = state.get("picture", state)
        return picture

    def gpio(self, role: str, owner: str, part: str) -> int:
        """The BCM number of a wire. Raises DemoError when the site has none there."""
        use = self._pins.get((role, owner, part))
        if use is None or not isinstance(use.terminal, Gpio):
            raise DemoError(f"this site has no {part} of {owner} on a pin")
        return use.terminal.number

    # ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────

    def wait_wire(self, what: str, test: Callable[[Entry], bool], since_ns: int, limit_s: float = WITHIN_S) -> Entry:
        """The first entry on the wire after `since_ns` that passes. Raises DemoError naming `what`."""
        found = self.wait(what, lambda: next(filter(test, self.wire(since_ns)), None), limit_s)
        assert isinstance(found, dict)
        return found

    def wait_pin(self, what: str, gpio: int, level: int, since_ns: int, limit_s: float = WITHIN_S) -> Entry:
        def right(entry: Entry) -> bool:
            return bool(entry["kind"] == "pin" and entry["gpio"] == gpio and entry["level"] == level)

        return self.wait_wire(what, right, since_ns, limit_s)

    def wait(self, what: str, test: Callable[[], Any], limit_s: float = WITHIN_S) -> Any:
        """Poll until true; errors of a peer that is just starting count as "not yet"."""
        end = time.monotonic() + limit_s
        last = ""
        while time.monotonic() < end:
            try:
                result = test()
            except DemoError as error:
                last, result = str(error), None
            if result:
                return result
            time.sleep(0.02)
        raise DemoError(NOT_WITHIN.format(limit=limit_s, what=what) + (f" ({last})" if last else ""))
