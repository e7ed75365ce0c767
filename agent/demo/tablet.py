"""The gatehouse's tablet as the demo's stories use it: the console's own pages over HTTPS, the box's certificate
trusted, forms filled in as a guard would."""

from __future__ import annotations

import html
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

from agent.demo import console
from agent.demo.gate import WITHIN_S, Gate
from agent.demo.processes import DemoError
from agent.web.console.certificate import AUTHORITY
from hardware.places import web_dir

FLASH = re.compile(r'<p class="flash (ok|bad)" role="\w+">([^<]*)</p>')


class Tablet:
    """One browser that is logged in."""

    def __init__(self, gate: Gate) -> None:
        """Waits for the console and logs in. Raises DemoError."""
        self._base = gate.console.removesuffix("/guard")
        authority = web_dir(gate.site) / AUTHORITY
        gate.wait("the console has its certificate", authority.exists)
        context = ssl.create_default_context(cafile=str(authority))
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.HTTPCookieProcessor(self._cookies)
        )
        self._wait()
        self._open("/guard/login", {"login": console.LOGIN, "password": gate.password})
        if "part-alarm" not in self.page():
            raise DemoError("the console did not let the demo's log-in in")

    def page(self) -> str:
        return self._open("/guard?lang=en")

    def do(self, verb: str, **fields: str) -> tuple[bool, str]:
        """Send one form; whether it was done, and what the page says."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.page())
        if found is None:
            raise DemoError("the console has logged the demo out")
        told = FLASH.search(self._open("/guard/do", {"csrf": found[1], "verb": verb, **fields}))
        if told is None:
            raise DemoError(f"the console says nothing of {verb}")
        return told[1] == "ok", html.unescape(told[2])

    def _wait(self) -> None:
        end = time.monotonic() + WITHIN_S
        while True:
            try:
                self._open("/guard/login")
                return
            except DemoError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def _open(self, path: str, fields: dict[str, str] | None = None) -> str:
        data = urllib.parse.urlencode(fields).encode() if fields is not None else None
        request = urllib.request.Request(self._base + path, data, {"Origin": self._base})
        try:
            with self._opener.open(request, timeout=WITHIN_S) as answer:
                return str(answer.read().decode())
        except (OSError, ValueError) as error:
            raise DemoError(f"{self._base}{path}: {error}") from None
