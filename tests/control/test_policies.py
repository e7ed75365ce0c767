"""A policy on the box: taken over the socket in pieces, in force when durable, still there after a restart."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from control_scenes import NoDevices, boot, demo_site, until
from msgspec.structs import replace

from agent import site_file
from agent.control import compose, role
from agent.control.uploads import MOST_UPLOADS, Refusal, Uploads
from agent.core import policy_parse
from agent.core.events import CardRead
from agent.journal import schema
from agent.journal.keys import BoxKey
from agent.pace import AT_ONCE
from agent.policy import bundle, command
from agent.policy.upload import PIECE, upload
from hardware import places
from hardware.site import PolicyKeys, Site

KEY = BoxKey.generate()
WIRE: dict[str, Any] = {
    "version": 5,
    "made_at_ms": 1,
    "site_box": "dongfang-primary/*",
    "calendar": {"first": "2026-01-01", "last": "2027-12-31", "weekdays": ["open"] * 7},
    "plans": [
        {"id": "open", "windows": [{"kind": "open", "start": 0, "end": 1440, "passages": [{"direction": "both"}]}]}
    ],
    "groups": [{"id": "pupil", "kind": "pupil", "doors": ["wicket"]}],
    "credentials_file": "people.csv",
    "credentials": [
        {"card": f"uart-125k:{number:010X}", "holder": f"pupil-{number}", "group": "pupil", "line": number}
        for number in range(1, 3000)
    ],
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(compose, "Devices", NoDevices)
    monkeypatch.setattr(role, "LIMIT_S", 60.0)
    made = demo_site(tmp_path)
    (tmp_path / "office.pub").write_bytes(KEY.public_pem())
    return replace(made, policy=PolicyKeys(keys=(str(tmp_path / "office.pub"), str(tmp_path / "gone.pub"))))


def told(site: Site, kind: str) -> list[str]:
    path = places.storage_dir(site) / schema.FILE
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    bodies = [body.decode() for (body,) in connection.execute("SELECT body FROM record ORDER BY seq")]
    connection.close()
    return [body for body in bodies if f'"kind":"{kind}"' in body]


async def test_a_bundle_is_in_force_at_once_and_after_a_restart(site: Site) -> None:
    data = bundle.pack(WIRE, b"", KEY)
    async with boot(site) as control:
        answer = await upload(places.control_socket(site), data, "desk", "command")
        assert (answer["ok"], answer["version"]) == (True, 5)
        again = await upload(places.control_socket(site), data, "desk", "command")
        assert again["ok"] is True
        assert control._runtime.state.policy is not None
        control._emit(CardRead("wicket-in", "uart-125k:0000000007"))
        assert control._runtime.state.campus.crowd.get("pupil-7") is not None
    assert len(told(site, "policy.changed")) == 1
    async with boot(site) as control:
        await until("it is loaded", lambda: control._runtime.state.policy is not None)
        mark = control._runtime.state.campus.crowd.get("pupil-7")
        assert mark is not None and mark.inside
    assert '"source":"start"' in told(site, "policy.changed")[1]


async def test_a_bad_bundle_is_one_record_and_changes_nothing(site: Site) -> None:
    async with boot(site) as control:
        await upload(places.control_socket(site), bundle.pack(WIRE, b"", KEY), "desk", "command")
        for data in (
            b"rubbish",
            bundle.pack(WIRE | {"version": 4}, b"", KEY),
            bundle.pack(WIRE, b"", BoxKey.generate()),
        ):
            answer = await upload(places.control_socket(site), data, "desk", "usb")
            assert answer["ok"] is False and answer["found"][0]["cure"]
        policy = control._runtime.state.policy
        assert policy is not None and policy.version == 5
    assert len(told(site, "policy.refused")) == 3


async def test_a_bundle_that_would_bring_the_box_down_on_a_weekday_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one of too many cards; the record says in which table, and quotes nothing of it."""
    calendar: dict[str, Any] = WIRE["calendar"]
    monkeypatch.setattr(policy_parse, "MOST_CARDS", 2000)
    async with boot(site) as control:
        for change in ({"calendar": calendar | {"weekdays": ["open"] * 6 + [""]}, "credentials": []}, {}):
            answer = await upload(places.control_socket(site), bundle.pack(WIRE | change, b"", KEY), "desk", "command")
            assert answer["ok"] is False
        assert control._runtime.state.policy is None
    weekday, cards = told(site, "policy.refused")
    assert '"why":["calendar"]' in weekday and '"why":["people.csv"]' in cards


async def test_a_flood_of_bad_bundles_is_counted_and_not_written_down(site: Site) -> None:
    async with boot(site):
        for number in range(AT_ONCE + 5):
            answer = await upload(places.control_socket(site), b"rubbish %d" % number, "upstream", "mqtt")
            assert answer["ok"] is False
    assert AT_ONCE <= len(told(site, "policy.refused")) <= AT_ONCE + 1


async def test_what_a_stick_brings_is_answered_by_a_record(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_file, "load_site", lambda path: site)
    stick = tmp_path / "stick"
    stick.mkdir()
    apply = ["apply", "--stick", str(stick)]
    async with boot(site):
        assert await asyncio.to_thread(command.run, apply) == 2
        (stick / "menwei-a.bundle").write_bytes(b"rubbish")
        assert await asyncio.to_thread(command.run, apply) == 2
        (stick / "menwei-b.bundle").write_bytes(bundle.pack(WIRE, b"", KEY))
        assert await asyncio.to_thread(command.run, apply) == 0
    refused, changed = told(site, "policy.refused"), told(site, "policy.changed")
    assert len(refused) == len(changed) == 1
    assert all('"source":"usb"' in record for record in (*refused, *changed))


def test_pieces_must_follow_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.control import uploads

    kept = Uploads()
    assert kept.take("a", 0, "AAAA", False) is None
    assert kept.take("a", 1, "AAAA", True) == b"\0" * 6
    with pytest.raises(Refusal, match="0 was due"):
        kept.take("a", 1, "AAAA", True)
    with pytest.raises(Refusal, match="base64"):
        kept.take("b", 0, "?", False)
    for number in range(MOST_UPLOADS + 1):
        kept.take(f"c{number}", 0, "AAAA", False)
    with pytest.raises(Refusal, match="0 was due"):
        kept.take("c0", 1, "AAAA", True)
    monkeypatch.setattr(uploads, "MOST_BYTES", 5)
    with pytest.raises(Refusal, match="too large"):
        kept.take("c4", 1, "AAAA", True)
    assert PIECE * 4 / 3 < 60 * 1024
