"""All roles in the foreground (`menwei run`): each a process of its own, restarted when it dies, stopped together.

A site with systemd runs each role as a unit instead; this is for benches, demos and a first look.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger("menwei.run")

ROLES = ("control", "uplink", "web", "camera")
MAY_END = frozenset({"camera"})  # where none is fitted it says so and ends
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0
STEADY_S = 30.0  # a role that ran this long starts again without a longer wait
STOP_S = 5.0
WRONG = 1
MISUSE = 2  # a role's exit code for a site file or environment that trying again cannot mend


async def run(site_file: Path, roles: Sequence[str] = ROLES) -> int:
    """Run until SIGTERM or SIGINT. Returns 0, or the first role's exit code that trying again cannot mend."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    keepers = [asyncio.create_task(_keep(role, site_file, stop), name=role) for role in roles]
    codes = await asyncio.gather(*keepers)
    return next((code for code in codes if code), 0)


async def _keep(role: str, site_file: Path, stop: asyncio.Event) -> int:
    """Start a role again and again until told to stop, as systemd does for the units. One of MAY_END may end well."""
    loop = asyncio.get_running_loop()
    wait_s = FIRST_WAIT_S
    while not stop.is_set():
        started = loop.time()
        code = await _once(role, site_file, stop)
        if stop.is_set() or (code == 0 and role in MAY_END):
            return 0
        if code == MISUSE:
            log.error("%s cannot run as things are; the others go on without it", role)
            await stop.wait()
            return code
        if loop.time() - started > STEADY_S:
            wait_s = FIRST_WAIT_S
        log.warning("%s ended with code %s; starting it again in %.1f s", role, code, wait_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait_s)
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)
    return 0


def command(role: str, site_file: Path) -> Sequence[str]:
    """How a role is started."""
    return (sys.executable, "-m", "agent", role, "--config", str(site_file))


async def _once(role: str, site_file: Path, stop: asyncio.Event) -> int:
    """One life of a role; its exit code."""
    try:
        process = await asyncio.create_subprocess_exec(*command(role, site_file))
    except OSError as error:
        log.error("%s cannot be started: %s", role, error)
        return WRONG
    ended = asyncio.create_task(process.wait())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not ended.done():
        await _end(process, ended)
    return await ended


async def _end(process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    done, _ = await asyncio.wait({ended}, timeout=STOP_S)
    if not done:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
