"""The demo's invented school: its bundle, made and signed on the spot from the files an office would edit."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

from agent.demo.processes import DemoError
from agent.journal.keys import BoxKey, load_private
from agent.link import ControlAway, ask_once
from agent.policy import bundle, names
from agent.policy.command import from_folder
from agent.policy.sources import Folder
from agent.policy.upload import upload
from hardware import loader
from hardware.places import control_socket
from hardware.site import Site

FILES = Path(loader.__file__).parent / "sites" / "demo-school"
OFFICE, PUBLIC, NAMES = "office.key", "office.pub", "names.key"


def make_keys(folder: Path) -> None:
    """The office's keys in the demo's folder, as its site file names them. Those of an earlier day are kept."""
    if not (folder / OFFICE).exists():
        key = BoxKey.generate()
        (folder / OFFICE).touch(0o600)
        (folder / OFFICE).write_bytes(key.private_pem())
        (folder / PUBLIC).write_bytes(key.public_pem())
    if not (folder / NAMES).exists():
        names.new_key(folder / NAMES)


def make_bundle(folder: Path) -> bytes:
    """The school's bundle, newer than any made before. Raises DemoError."""
    made_at_ms = time.time_ns() // 1_000_000
    policy, wire, found = from_folder(FILES, made_at_ms // 1000, made_at_ms)
    if policy is None:
        raise DemoError(f"the demo's school has mistakes: {found[0].source}: {found[0].what}")
    sealed = names.seal(Folder(FILES).names(), names.load_key(folder / NAMES))
    return bundle.pack(wire, sealed, load_private((folder / OFFICE).read_bytes()))


def apply(site: Site, data: bytes) -> None:
    """Put it in force on the running box. Raises DemoError."""
    try:
        answer = asyncio.run(upload(control_socket(site), data, "school office", "command"))
    except ControlAway as error:
        raise DemoError(f"the school's policy could not be applied: {error}") from None
    if answer.get("ok") is not True:
        raise DemoError(f"the school's policy was refused: {answer.get('why')}")


def command(site: Site, verb: str, **args: str) -> dict[str, Any]:
    """What a guard would ask of the box at its console. Raises DemoError where control is away."""
    ident = secrets.token_hex(8)
    message = {"op": "command", "id": ident, "rank": "console", "actor": "guard-1", "verb": verb, "args": args}
    try:
        return asyncio.run(ask_once(control_socket(site), message))
    except ControlAway as error:
        raise DemoError(f"the box does not answer: {error}") from None
