"""Who may speak over the local socket and as what: users by name, each with its part."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from socket_scenes import Peer, Served, serving

from agent.control import server as server_module
from agent.control.peers import ALL, NEEDED, Part, may_ask, may_claim, users
from agent.core.words import Rank

UPSTREAM, CONSOLE, LOOKS = frozenset({Part.UPSTREAM}), frozenset({Part.CONSOLE}), frozenset[Part]()
WEB = 4711
COMMAND = {"op": "command", "id": "a1", "actor": "x", "verb": "lockdown", "args": {}}
STAGE = {"op": "stage", "epoch": 1, "seq": 1, "path": "mqtt", "stage": "received", "by": "x"}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as made:
        yield made


def test_users_are_named_apart_by_spaces_each_with_its_parts() -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    assert users(f"  daemon=console   {me}=upstream,console,stick bin ") == {
        pwd.getpwnam("daemon").pw_uid: CONSOLE,
        os.getuid(): ALL,
        pwd.getpwnam("bin").pw_uid: LOOKS,
    }
    assert users("") == {}


def test_a_user_this_machine_does_not_have_is_told_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert users("no-such-user-here=console root=console") == {0: CONSOLE}
    assert "no-such-user-here" in caplog.text


def test_a_part_nobody_knows_is_told_and_opens_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert users("daemon=root,upstream") == {pwd.getpwnam("daemon").pw_uid: UPSTREAM}
    assert "'root'" in caplog.text


def test_a_user_named_twice_has_both_parts() -> None:
    assert users("daemon=console daemon=upstream") == {pwd.getpwnam("daemon").pw_uid: UPSTREAM | CONSOLE}


def test_the_consoles_rank_is_its_own_and_every_other_is_nobodys() -> None:
    claims = {rank: {part for part in Part if may_claim(frozenset({part}), rank)} for rank in Rank}
    assert claims.pop(Rank.CONSOLE) == {Part.CONSOLE}
    assert not any(claims.values())
    assert not any(may_claim(LOOKS, rank) for rank in Rank)


def test_looking_needs_no_part_and_everything_else_does() -> None:
    assert all(may_ask(LOOKS, op) for op in ("state", "ping", "subscribe"))
    assert not any(may_ask(LOOKS, op) for op in NEEDED)
    assert not any(
        may_ask(CONSOLE, op) for op in ("stage", "path", "given_up", "synced", "anchor", "ahead", "policy", "order")
    )
    assert not any(may_ask(UPSTREAM, op) for op in ("explain", "guard", "command"))
    assert all(may_ask(ALL, op) for op in NEEDED)


def test_who_brings_a_stick_hands_over_a_policy_and_speaks_for_nobody() -> None:
    stick = frozenset({Part.STICK})
    assert {op for op in NEEDED if may_ask(stick, op)} == {"policy"}
    assert not any(may_claim(stick, rank) for rank in Rank)


async def ask_as(served: Served, monkeypatch: pytest.MonkeyPatch, part: Part, *asks: dict[str, Any]) -> list[Any]:
    monkeypatch.setattr(server_module, "_peer_uid", lambda writer: WEB)
    served.server._users = {**served.server._users, WEB: frozenset({part})}
    peer = await Peer.of(served.path)
    answers = [await peer.ask(ask) for ask in asks]
    peer.close()
    return answers


async def test_the_web_role_is_the_console_and_never_the_far_side(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.box.press()
    ref = served.box.state.panic.alarms[0].ref
    stage = STAGE | {"epoch": ref[0], "seq": ref[1]}
    asks = (stage, COMMAND | {"rank": "upstream"}, {"op": "policy", "id": "p", "last": True}, {"op": "guard"})
    answers = await ask_as(served, monkeypatch, Part.CONSOLE, *asks)
    assert [answer.get("ok") for answer in answers] == [False, False, False, None]
    assert all("not for this user" in answers[place]["why"] for place in (0, 2))
    assert served.box.state.panic.alarms[0].stages == {"mqtt": "queued"}, "a lamp would say that the police knows"
    done = await ask_as(served, monkeypatch, Part.CONSOLE, COMMAND | {"rank": "console"})
    assert done[0]["ok"]


async def test_the_uplink_hears_by_which_keys_commands_are_judged(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.server.order_keys = lambda: (b"\x0f" * 32,)
    (told,) = await ask_as(served, monkeypatch, Part.UPSTREAM, {"op": "order_keys"})
    assert told["keys"] == ["0f" * 32]
    (refused,) = await ask_as(served, monkeypatch, Part.CONSOLE, {"op": "order_keys"})
    assert not refused["ok"]


async def test_the_uplink_is_the_far_side_and_never_the_console(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = (COMMAND | {"rank": "console"}, {"op": "guard"}, {"op": "path", "path": "mqtt", "up": True, "why": ""})
    refused, hidden, path = await ask_as(served, monkeypatch, Part.UPSTREAM, *asks)
    assert (refused["ok"], hidden["ok"], path["ok"]) == (False, False, True)
    assert not served.box.state.panic.lockdown


@pytest.mark.parametrize("part", [Part.UPSTREAM, Part.CONSOLE])
async def test_a_role_that_was_taken_over_fills_no_journal_with_notes(
    part: Part, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are written and the others counted. A press, and what the far side says of it, wait for none of them."""
    monkeypatch.setattr(server_module, "NOTES_AT_ONCE", 30)
    monkeypatch.setattr(server_module, "NOTES_EVERY_S", 1e9)
    note = {"op": "note", "kind": "note", "subject": "s", "actor": "a", "data": {"x": 1}}
    answers = await ask_as(served, monkeypatch, part, *[note] * 100)
    again = await ask_as(served, monkeypatch, part, *[note] * 100)
    assert [answer["ok"] for answer in answers + again] == [True] * 30 + [False] * 170
    assert "counted" in again[0]["why"]
    notes = [record for record in served.box.paper.records if record.kind == "note"]
    assert len(notes) == 30
    served.box.press()
    ref = served.box.state.panic.alarms[0].ref
    stage = STAGE | {"epoch": ref[0], "seq": ref[1]}
    (received,) = await ask_as(served, monkeypatch, Part.UPSTREAM, stage)
    assert received["ok"] and served.box.state.panic.alarms[0].stages == {"mqtt": "received"}
    served.server._notes[WEB]._room = 1.0
    await ask_as(served, monkeypatch, part, note)
    assert served.box.paper.records[-1].data == {"unrecorded": 170, "x": 1}


async def test_roots_own_notes_are_all_written_and_none_is_too_long(served: Served) -> None:
    peer = await Peer.of(served.path)
    note = {"op": "note", "kind": "note", "subject": "s", "actor": "a", "data": {}}
    assert all([(await peer.ask(note))["ok"] for _ in range(server_module.NOTES_AT_ONCE + 5)])
    long = await peer.ask(note | {"data": {"x": "y" * server_module.MOST_NOTE}})
    assert not long["ok"] and "longer" in long["why"]
    peer.close()


async def test_asking_what_is_not_its_part_is_one_record_for_each_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask_as(served, monkeypatch, Part.UPSTREAM, *[COMMAND | {"rank": "console"}] * 20)
    told = [record for record in served.box.paper.records if record.kind == "socket.refused"]
    assert [(record.actor, record.data) for record in told] == [(f"uid:{WEB}", {"uid": WEB, "what": "command"})]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_another_user_of_this_machine_is_what_the_unit_says_it_is() -> None:
    """The kernel's own word, with a real second user."""
    daemon = pwd.getpwnam("daemon").pw_uid
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with serving(Path(folder)) as served:
            served.server._users = {**served.server._users, daemon: CONSOLE}
            served.path.chmod(0o666)
            assert await asked_as(daemon, served.path) == [False, False, True]
            assert served.box.state.panic.lockdown


async def asked_as(uid: int, path: Path) -> list[bool]:
    """What a process of that user is answered."""
    asks = [STAGE, COMMAND | {"rank": "upstream"}, COMMAND | {"rank": "console"}]
    code = (
        "import os, socket, sys\n"
        f"os.setgid({uid}); os.setuid({uid})\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile('rw')\n"
        "for line in sys.argv[2:]:\n    print(line, file=f, flush=True); print(f.readline(), end='')\n"
    )
    command = [sys.executable, "-c", code, str(path), *map(json.dumps, asks)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    return [json.loads(line)["ok"] for line in done.stdout.splitlines()]
