"""What the pages cost: first paint in a real browser, and the web role's core and memory while pages are open.

Floor of the paint: the same browser showing a few bytes of text from the same port.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

from agent.demo.gate import fetch
from bench.rig import Rig, until
from bench.stats import ratio, summary
from bench.whole import cpu_s, pss_kb

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
PAINTS = 10
SETTLE_S, WATCH_S = 8.0, 20.0
OPEN_PAGES = (0, 1, 20)
PAINT = (
    """() => { const p = performance.getEntriesByName("first-contentful-paint")[0]; return p ? p.startTime : null }"""
)


def measure() -> dict[str, Any]:
    with Rig() as rig:
        rig.start_simulator()
        rig.start_role("control")
        web = rig.start_role("web")
        url = f"http://{rig.site.web.listen[0]}"
        until("the page answers", lambda: fetch(f"{url}/api/v1/state"))
        assert web.process is not None
        pid = web.process.pid
        time.sleep(SETTLE_S)
        open_pages = {str(count): _open(url, pid, count) for count in OPEN_PAGES}
        paint = _paint(url) if Path(CHROMIUM).exists() and os.environ.get("MENWEI_NO_BROWSER") != "1" else {}
        return {"paint": paint, "open": open_pages}


def _open(url: str, pid: int, count: int) -> dict[str, float]:
    """Percent of a core and memory while so many pages follow a gate at which nothing happens."""
    host, _, port = url.removeprefix("http://").partition(":")
    ask = f"GET /api/v1/stream?page=status HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    sockets = []
    for _ in range(count):
        made = socket.create_connection((host, int(port)))
        made.sendall(ask)
        made.setblocking(False)
        sockets.append(made)
    _read_for(sockets, 3.0)
    before = cpu_s(pid)
    _read_for(sockets, WATCH_S)
    spent = cpu_s(pid) - before
    for made in sockets:
        made.close()
    return {"cpu_percent": round(100 * spent / WATCH_S, 2), "pss_mb": round(pss_kb(pid) / 1024, 1)}


def _read_for(sockets: list[socket.socket], seconds: float) -> None:
    """Take what is sent, as browsers do."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for made in sockets:
            try:
                while made.recv(65536):
                    pass
            except BlockingIOError:
                continue
        time.sleep(0.2)


def _paint(url: str) -> dict[str, Any]:
    """Milliseconds from asking to the first paint with content, nothing cached."""
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {"/healthz": [], "/": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for _ in range(PAINTS):
            for path, times in found.items():
                page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
                page.goto(url + path)
                page.wait_for_timeout(300)
                times.append(float(page.evaluate(PAINT)))
                page.context.close()
        browser.close()
    ours, floor = summary(found["/"]), summary(found["/healthz"])
    return {"ours": ours, "floor": floor, "ratio": ratio(ours["p50"], floor["p50"])}
