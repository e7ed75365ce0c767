"""The local socket, as `docs/local-socket.md` tells it: every request, every line, and every peer that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from box_scenes import virtually
from control_scenes import until
from patience import within
from socket_scenes import Message, Peer, Served, serving, subscribed

from agent.control import server as server_module
from agent.control.path_words import PathWords
from agent.control.peers import ALL
from agent.control.server import MAX_LINE, OVERDUE_S, Ask
from agent.core.events import OutputFault, PathHealth
from agent.core.words import Journal
from agent.pace import AT_ONCE, EVERY_S

DOCS = Path(__file__).parents[2] / "docs" / "local-socket.md"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as made:
        yield made


@pytest.fixture
async def peer(served: Served) -> AsyncIterator[Peer]:
    made = await Peer.of(served.path)
    yield made
    made.close()


def test_every_request_of_the_document_is_a_request_the_code_reads() -> None:
    rows = re.findall(r"^\| `(\{.*?\})` \|", DOCS.read_text("utf-8"), re.MULTILINE)
    fields = set(Ask.__struct_fields__)
    ops = set()
    for row in rows:
        keys = set(re.findall(r'"(\w+)":', row))
        op = re.search(r'"op":"(\w+)"', row)
        assert op is not None
        ops.add(op[1])
        if op[1] not in ("head", "alarm", "ended", "latency"):
            assert keys - {"args", "data"} <= fields, row
    assert {"state", "subscribe", "command", "stage", "path", "synced", "note", "ping"} <= ops


# ── requests ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_state_is_the_picture(peer: Peer, served: Served) -> None:
    assert await peer.ask({"op": "state"}) == {"op": "state", "state": served.picture()}


async def test_a_ping_tells_the_loops_turn(peer: Peer, served: Served) -> None:
    served.box.runtime.turn_ms = 3
    assert await peer.ask({"op": "ping"}) == {"op": "pong", "turn_ms": 3}


async def test_a_command_is_carried_out_and_its_records_named(peer: Peer, served: Served) -> None:
    ask = {"op": "command", "id": "a1", "rank": "console", "actor": "guard-1", "verb": "lockdown", "args": {}}
    answer = await peer.ask(ask)
    assert (answer["op"], answer["id"], answer["ok"]) == ("done", "a1", True)
    kinds = {record.ref: record.kind for record in served.box.paper.records}
    assert kinds[tuple(answer["records"][0])] == "command.done"
    assert served.box.state.panic.lockdown


async def test_the_same_command_twice_is_done_once(peer: Peer, served: Served) -> None:
    ask = {"op": "command", "id": "a1", "rank": "console", "actor": "guard-1", "verb": "lockdown", "args": {}}
    await peer.ask(ask)
    again = await peer.ask(ask)
    assert (again["ok"], again["why"]) == (False, "duplicate")


@pytest.mark.parametrize("rank", ["hardware", "fire", "fire_key", "panic", "hold_to_run", "timetable", "upstream"])
async def test_nobody_claims_a_rank_of_hands_over_the_socket(peer: Peer, served: Served, rank: str) -> None:
    ask = {"op": "command", "id": "a1", "rank": rank, "actor": "web", "verb": "raise", "args": {"lane": "main"}}
    answer = await peer.ask(ask)
    assert answer["ok"] is False and rank in answer["why"]
    assert not [record for record in served.box.paper.records if record.kind.startswith("command")]


@pytest.mark.parametrize("lacks", ["id", "actor", "verb"])
async def test_a_command_without_its_parts_is_refused(peer: Peer, lacks: str) -> None:
    ask = {"op": "command", "id": "a1", "rank": "console", "actor": "g", "verb": "lockdown", "args": {}} | {lacks: ""}
    answer = await peer.ask(ask)
    assert answer == {"op": "done", "id": ask["id"], "ok": False, "why": "a command needs id, actor and verb"}


async def test_stages_move_an_alarm_on(peer: Peer, served: Served) -> None:
    served.box.press()
    ref = served.box.state.panic.alarms[0].ref
    stage = {"op": "stage", "epoch": ref[0], "seq": ref[1], "path": "mqtt", "stage": "received", "by": "district"}
    assert (await peer.ask(stage))["ok"]
    assert served.box.state.panic.alarms[0].stages == {"mqtt": "received"}
    press = served.box.runtime.latencies.find(ref)
    assert press is not None and "received_us" in press.hops
    wrong = await peer.ask(stage | {"stage": "solved"})
    assert (wrong["ok"], wrong["why"]) == (False, "unknown stage 'solved'")


async def test_a_paths_last_receipt_is_the_far_sides_own_word(peer: Peer, served: Served) -> None:
    served.box.press()
    ref = served.box.state.panic.alarms[0].ref
    stage = {"op": "stage", "epoch": ref[0], "seq": ref[1], "path": "mqtt", "stage": "sent", "by": "box"}
    await peer.ask(stage)
    assert served.server.receipts == {}
    await peer.ask(stage | {"stage": "received", "by": "centre"})
    assert list(served.server.receipts) == ["mqtt"]


async def test_a_paths_health_is_told(peer: Peer, served: Served) -> None:
    assert (await peer.ask({"op": "path", "path": "mqtt", "up": True, "why": ""}))["ok"]
    assert served.box.state.health.paths["mqtt"].up


async def test_what_a_path_has_given_up_is_told(peer: Peer, served: Served) -> None:
    for number, kept in ((3, 3), (1, 1), (-5, 0)):  # an uplink that was started anew counts anew
        assert (await peer.ask({"op": "given_up", "path": "mqtt", "number": number}))["ok"]
        assert served.server.given_up == {"mqtt": kept}


@pytest.mark.parametrize("op", ["path", "stage", "given_up"])
async def test_a_path_that_the_site_file_does_not_name_is_none(peer: Peer, served: Served, op: str) -> None:
    """Each name of its own would stay in the state for ever, and make each turn slower."""
    served.box.press()
    ref, state = served.box.state.panic.alarms[0].ref, served.box.state
    ask = {"op": op, "path": "made-up", "up": False, "epoch": ref[0], "seq": ref[1], "stage": "received", "by": "x"}
    answer = await peer.ask(ask)
    assert answer["ok"] is False and "'made-up'" in answer["why"]
    assert served.box.state == state and served.server.receipts == served.server.given_up == {}


@virtually
async def test_of_a_path_that_comes_and_goes_without_end_the_last_word_counts() -> None:
    words: list[bool] = []
    paths = PathWords(lambda word: words.append(word.up))
    for turn in range(1001):
        paths.tell(PathHealth("mqtt", turn % 2 == 1, "flapping"))
    assert len(words) == AT_ONCE
    paths.tell(PathHealth("dc09", True, ""))
    assert len(words) == AT_ONCE + 1, "another path has a pace of its own"
    await asyncio.sleep(EVERY_S * 1.5)
    assert words[AT_ONCE + 1 :] == [False], "the last of the thousand"
    paths.tell(PathHealth("mqtt", True, ""))
    paths.tell(PathHealth("mqtt", False, ""))
    paths.tell(PathHealth("mqtt", True, "at last"))
    await asyncio.sleep(EVERY_S * 1.5)
    assert words[-1] is True and len(words) == AT_ONCE + 3


async def test_progress_of_the_far_side_is_passed_on(peer: Peer, served: Served) -> None:
    head = served.box.state.next_seq - 1
    assert (await peer.ask({"op": "synced", "epoch": 1, "seq": head}))["ok"]
    assert served.synced == [(1, head)]


@pytest.mark.parametrize("ahead", [(1, 1_000_000), (2, 1), (9_999_999_999, 0)])
async def test_nobody_can_have_what_is_not_written(peer: Peer, served: Served, ahead: tuple[int, int]) -> None:
    answer = await peer.ask({"op": "synced", "epoch": ahead[0], "seq": ahead[1]})
    assert answer["ok"] is False and "not written yet" in answer["why"]
    assert served.synced == []


@pytest.mark.parametrize("kind", ["view.journal", "command.refused"])
async def test_a_note_is_one_record(peer: Peer, served: Served, kind: str) -> None:
    before = len(served.box.paper.records)
    note = {"op": "note", "kind": kind, "subject": "journal", "actor": "guard-1", "data": {"rows": 3}}
    answer = await peer.ask(note)
    record = served.box.paper.records[-1]
    assert answer["records"] == [list(record.ref)]
    assert (record.kind, record.subject, record.actor, record.data) == (
        kind,
        "journal",
        "guard-1",
        {"rows": 3},
    )
    assert len(served.box.paper.records) == before + 1


async def test_no_note_can_poison_the_journal(peer: Peer, served: Served) -> None:
    from agent.core.records import encode

    data = {"a": 1.5, "b": [1e300, {"c": -0.0}], "d": 2**70, "e": None, "f": "\u0000\u2028"}
    await peer.ask({"op": "note", "kind": "nonsense", "subject": "s", "actor": "a", "data": data})
    body = json.loads(encode(served.box.paper.records[-1]))
    assert body["kind"] == "note" and body["data"]["kind"] == "nonsense"


@pytest.mark.parametrize("kind", ["panic.pressed", "panic.reset", "box.latched", "command.done"])
async def test_a_note_is_never_what_the_gate_itself_saw_or_did(peer: Peer, served: Served, kind: str) -> None:
    before = len(served.box.paper.records)
    note = {"op": "note", "kind": kind, "subject": "button:gatehouse", "actor": "web", "data": {}}
    answer = await peer.ask(note)
    assert answer["ok"] is False and kind in answer["why"]
    assert len(served.box.paper.records) == before


# ── nonsense ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "line",
    [b"\n", b"hello\n", b"[]\n", b"{}\n", b'{"op":7}\n', b'{"op":"command","args":{"lane":1}}\n', b"\xff\xfe\n",
     b'{"op":"stage","epoch":"x"}\n', b'{"op":"state"\n', b"[" * 5000 + b"\n", b'{"op":"note","data":[]}\n',
     b'{"op":"ping","x":' + b"[" * 5000 + b"\n"],
)  # fmt: skip
async def test_nonsense_gets_a_sentence_and_the_next_request_its_answer(peer: Peer, line: bytes) -> None:
    answer = await peer.ask(line)
    assert answer["op"] == "error" and answer["why"]
    assert (await peer.ask({"op": "ping"}))["op"] == "pong"


async def test_an_unknown_op_is_named(peer: Peer) -> None:
    assert await peer.ask({"op": "dance"}) == {"op": "error", "why": "unknown op 'dance'"}


async def test_a_line_without_an_end_is_cut_off_and_said(peer: Peer, served: Served) -> None:
    await peer.say(b'{"op":"' + b"x" * (MAX_LINE + 10) + b'"}\n')
    assert (await peer.line())["why"] == f"a line is longer than {MAX_LINE} bytes"
    with pytest.raises((EOFError, ConnectionError)):
        await peer.line()
    other = await Peer.of(served.path)
    assert (await other.ask({"op": "ping"}))["op"] == "pong"
    other.close()


async def test_a_peer_that_hangs_up_in_the_middle_of_a_line_harms_nobody(served: Served) -> None:
    for _ in range(20):
        peer = await Peer.of(served.path)
        await peer.say(b'{"op":"sta')
        peer.close()
    other = await Peer.of(served.path)
    assert (await other.ask({"op": "ping"}))["op"] == "pong"
    other.close()


# ── who may ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_foreign_user_is_turned_away_with_one_record(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_peer_uid", lambda writer: 4711)
    peer = await Peer.of(served.path)
    await peer.say({"op": "command", "id": "a", "rank": "console", "actor": "x", "verb": "lockdown", "args": {}})
    with pytest.raises((EOFError, ConnectionError)):
        await peer.line()
    told = [record for record in served.box.paper.records if record.kind == "socket.refused"]
    assert [(record.actor, record.data) for record in told] == [("uid:4711", {"uid": 4711})]
    assert not served.box.state.panic.lockdown


async def test_a_user_whom_the_unit_names_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_peer_uid", lambda writer: 4711)
    async with serving(tmp_path) as served:
        served.server._users = {**served.server._users, 4711: frozenset()}
        peer = await Peer.of(served.path)
        assert (await peer.ask({"op": "ping"}))["op"] == "pong"
        peer.close()


async def test_the_kernel_tells_who_the_peer_is(served: Served) -> None:
    peer = await Peer.of(served.path)
    assert (await peer.ask({"op": "ping"}))["op"] == "pong"
    assert served.server._users[os.getuid()] == ALL
    peer.close()


async def test_the_socket_is_for_its_owner_and_group_only(served: Served) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o660


# ── what a subscriber gets ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_subscriber_is_told_where_the_journal_stands_at_once(served: Served) -> None:
    served.durable()
    peer = await Peer.of(served.path)
    head = served.box.runtime.durable_seq
    assert await peer.ask({"op": "subscribe", "from_seq": 0}) == {"op": "subscribed", "epoch": 1, "head": head}
    assert await peer.line() == {"op": "head", "epoch": 1, "seq": head}
    peer.close()


async def test_an_alarm_comes_once_durable_and_ahead_of_its_head_line(served: Served) -> None:
    peer = await subscribed(served)
    served.box.press()
    served.durable()
    lines = [await peer.line()]
    while lines[-1]["op"] != "head":
        lines.append(await peer.line())
    alarms = [line for line in lines if line["op"] == "alarm"]
    assert [(line["record"]["kind"], line["durable"]) for line in alarms] == [("panic.pressed", True)]
    assert set(alarms[0]["record"]) == {
        "actor", "at", "boot", "cause", "clock", "data", "epoch", "kind", "mono_ns", "seq", "site_box", "subject",
    }  # fmt: skip
    peer.close()


async def test_an_alarm_that_the_card_does_not_take_leaves_from_memory_and_says_so(served: Served) -> None:
    peer = await subscribed(served)
    began = asyncio.get_running_loop().time()
    served.box.press()
    alarm = await peer.wait(lambda line: line["op"] == "alarm")
    assert (alarm["record"]["kind"], alarm["durable"]) == ("panic.pressed", False)
    assert asyncio.get_running_loop().time() - began + 0.01 >= OVERDUE_S
    served.durable()
    again = await peer.wait(lambda line: line["op"] == "alarm")
    assert (again["record"], again["durable"]) == (alarm["record"], True)
    peer.close()


async def test_while_the_journal_fails_an_alarm_waits_for_nothing_and_comes_once(served: Served) -> None:
    served.box.runtime.journal_health(True, "the card is full")
    served.server.failing()
    peer = await Peer.of(served.path)
    await peer.ask({"op": "subscribe"})
    lines = [await peer.line(), await peer.line()]
    assert [line.get("record", {}).get("kind") for line in lines] == [None, "journal.failing"]
    served.box.press()
    alarm = await peer.line(0.2)
    assert (alarm["record"]["kind"], alarm["durable"]) == ("panic.pressed", False)
    served.server.failing()
    served.server._overdue(served.server._undurable[-1].ref)
    rest = [line for line in await gathered(peer) if line["op"] == "alarm"]
    assert rest == []
    peer.close()


async def test_who_subscribes_later_gets_the_alarms_that_no_journal_holds(served: Served) -> None:
    served.box.runtime.journal_health(True, "the card is full")
    served.box.press()
    peer = await Peer.of(served.path)
    await peer.ask({"op": "subscribe", "from_seq": 0})
    lines = await gathered(peer)
    kinds = [line["record"]["kind"] for line in lines if line["op"] == "alarm"]
    assert kinds == ["journal.failing", "panic.pressed"]
    assert not any(line["durable"] for line in lines if line["op"] == "alarm")
    peer.close()


async def test_what_ends_an_alarm_is_told_once_durable(served: Served) -> None:
    peer = await subscribed(served)
    for ok in (False, True):
        served.box.runtime.handle(OutputFault("siren", ok))
    assert [line["op"] for line in await gathered(peer)] == []
    served.durable()
    lines = await gathered(peer)
    assert [line["op"] for line in lines] == ["alarm", "ended", "head"]
    assert [line["record"]["kind"] for line in lines[:2]] == ["output.fault", "output.ok"]
    served.durable()
    assert [line["op"] for line in await gathered(peer)] == ["head"]
    peer.close()


async def test_a_record_that_is_no_alarm_goes_out_by_its_head_line_only(served: Served) -> None:
    peer = await subscribed(served)
    served.box.swipe()
    served.durable()
    assert [line["op"] for line in await gathered(peer)] == ["head"]
    peer.close()


async def test_a_hop_is_told_when_it_is_known(served: Served) -> None:
    peer = await subscribed(served)
    served.box.press()
    served.durable()
    line = await peer.wait(lambda line: line["op"] == "latency")
    assert line["ref"] == list(served.box.state.panic.alarms[0].ref)
    assert line["hops"].keys() >= {"durable_us"}
    assert abs(line["edge_ns"] / 1e9 - asyncio.get_running_loop().time()) < 5
    peer.close()


async def test_the_state_comes_only_to_those_who_asked_and_at_most_ten_times_a_second(served: Served) -> None:
    watcher, other = await subscribed(served, state=True), await subscribed(served)
    assert (await watcher.line())["op"] == "state"
    began = asyncio.get_running_loop().time()
    for number in range(200):
        served.box.runtime.handle(PathHealth("mqtt", bool(number % 2), "why"))
        await asyncio.sleep(0.001)
    lines = await gathered(watcher)
    spent = asyncio.get_running_loop().time() - began
    states = [line for line in lines if line["op"] == "state"]
    assert 1 <= len(states) <= spent * 10 + 1
    assert states[-1]["state"]["head"] == served.box.state.next_seq - 1, "the last change was never told"
    assert [line for line in await gathered(other) if line["op"] == "state"] == []
    watcher.close()
    other.close()


async def test_the_state_comes_now_and_then_without_a_change(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "STATE_IDLE_S", 0.02)
    served.server._idle_state()
    watcher = await subscribed(served, state=True)
    states = [await watcher.wait(lambda line: line["op"] == "state") for _ in range(3)]
    assert len(states) == 3
    watcher.close()


async def test_a_subscriber_that_does_not_read_is_dropped_and_slows_nobody(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.server, "_picture", lambda: {"head": 0, "ballast": "x" * 200_000})
    reader, writer = await asyncio.open_unix_connection(str(served.path), limit=1024)
    writer.write(b'{"op":"subscribe","state":true}\n')
    other = await subscribed(served)
    await until("the deaf one subscribes", lambda: len(served.server._subscribers) == 2)
    for _ in range(40):
        served.server._idle_state()
        await asyncio.sleep(0)
    await until("it is dropped", lambda: len(served.server._subscribers) == 1)
    served.box.press()
    served.durable()
    assert (await other.wait(lambda line: line["op"] == "alarm"))["durable"]
    writer.close()
    other.close()
    del reader


async def test_many_peers_that_ask_without_end_cost_each_turn_of_the_loop_one_answer(served: Served) -> None:
    """A role that was taken over must not make a press wait for a hundred pictures."""
    answered = 0

    def picture() -> Message:
        nonlocal answered
        answered += 1
        return {"head": 0}

    served.server._picture = picture
    peers = [await Peer.of(served.path) for _ in range(20)]
    for peer in peers:
        await peer.say(b'{"op":"state"}\n' * 10)
    most = before = 0
    while answered < 200:
        await asyncio.sleep(0)
        most, before = max(most, answered - before), answered
    assert most == 1


async def test_a_role_holds_so_many_connections_and_the_shell_is_never_turned_away(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MOST_PEERS", 3)
    monkeypatch.setattr(server_module, "_peer_uid", lambda writer: 4711)
    served.server._users = {**served.server._users, 4711: frozenset()}
    peers = [await Peer.of(served.path) for _ in range(3)]
    for peer in peers:
        assert (await peer.ask({"op": "ping"}))["op"] == "pong"
    for _ in range(AT_ONCE + 5):
        with pytest.raises((EOFError, ConnectionError)):
            await (await Peer.of(served.path)).line()
    told = [record for record in served.box.paper.records if record.kind == "socket.refused"]
    assert told[0].data == {"uid": 4711, "what": "more connections"} and AT_ONCE <= len(told) <= AT_ONCE + 1
    peers[0].close()
    await until("one has gone", lambda: served.server._held[4711] == 2)
    assert (await (await Peer.of(served.path)).ask({"op": "ping"}))["op"] == "pong"
    monkeypatch.setattr(server_module, "_peer_uid", lambda writer: 0)
    shells = [await Peer.of(served.path) for _ in range(5)]
    assert [(await shell.ask({"op": "ping"}))["op"] for shell in shells] == ["pong"] * 5


async def test_alarms_held_for_a_refusing_card_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MOST_UNDURABLE", 5)
    assert served.box.state.health.journal is Journal.OK
    for number in range(40):
        served.box.runtime.journal_health(number % 2 == 0, "the card is full")
    assert len(served.server._undurable) == 5


async def gathered(peer: Peer, for_s: float = 0.12) -> list[Message]:
    """Every line that comes within a while."""
    lines: list[Message] = []
    with contextlib.suppress(TimeoutError):
        async with within(for_s):
            while True:
                lines.append(await peer.line(60.0))
    return lines
