"""Signed commands from their bytes on: one good one acts, and nothing that was done to it does."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from box_scenes import Box, turns, virtually
from control_scenes import LoopClock, demo_site
from msgspec.structs import replace

from agent.control.command_keys import KeyFiles, Keys
from agent.control.orders import Orders
from agent.core.events import ClockChanged, Now
from agent.core.records import utc_text
from agent.core.words import ClockTrust
from agent.order import MOST_BYTES, _time_ms
from agent.pace import AT_ONCE, EVERY_S
from hardware.site import CommandKey, Site
from sim.orders import LIES, Signer, canonical

BOX = "dongfang-primary/gate-1"


class Clock(LoopClock):
    """The loop's own, whose wall time and trust a test may change."""

    ahead_ms = 0
    trust = ClockTrust.TRUSTED

    def now(self) -> Now:
        now = super().now()
        return replace(now, wall_ms=now.wall_ms + self.ahead_ms, trust=self.trust)

    def set(self, text: str) -> int:
        """Put wall time there; returns it in ms."""
        wall_ms = _time_ms(text)
        self.ahead_ms += wall_ms - self.now().wall_ms
        return wall_ms


class Bench:
    """A box that has read its inputs, its keys, and a district that signs."""

    def __init__(self, folder: Path, *more: CommandKey, names: tuple[str, ...] = ("old",)) -> None:
        self.signers = {name: Signer.of(folder / f"{name}.key") for name in names}
        keys = more or tuple(CommandKey(id=name, file=f"{name}.pub") for name in names)
        demo = demo_site()
        site: Site = replace(demo, folder=str(folder), uplink=replace(demo.uplink, command_key=keys))
        self.box = Box(site=site)
        self.clock = self.box.runtime._clock = Clock()
        self.orders = Orders(site, KeyFiles(site, None).now, self.box.runtime, self.clock)
        self.box.start()

    def order(self, verb: str = "lockdown", ident: str = "c1", **changes: Any) -> dict[str, Any]:
        """A good command, unsigned."""
        wall_ms = self.clock.now().wall_ms
        args = changes.pop("args", {})
        times = {"issued_at": utc_text(wall_ms), "expires_at": utc_text(wall_ms + 60_000)}
        return {"id": f"{BOX}/{ident}", "verb": verb, "args": args, **times} | changes

    def sign(self, order: dict[str, Any], name: str = "old") -> bytes:
        signature = self.signers[name]._key.sign(canonical(order))
        return json.dumps(order | {"sig": base64.b64encode(signature).decode()}).encode()

    def give(self, payload: bytes, *, retained: bool = False) -> str:
        return self.orders.take(payload, retained=retained)

    def outcomes(self) -> list[tuple[str, object]]:
        records = [record for record in self.box.paper.records if record.kind.startswith("command.")]
        return [(record.kind, record.data.get("why", "")) for record in records]


@virtually
async def test_a_good_command_acts_and_names_the_key_that_signed_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.give(bench.sign(bench.order())) == ""
    await turns()
    assert bench.box.state.panic.lockdown
    (record,) = (record for record in bench.box.paper.records if record.kind == "command.done")
    assert (record.actor, record.data["rank"], record.data["id"]) == ("upstream:old", "upstream", f"{BOX}/c1")
    assert bench.orders.figures().done == 1
    assert bench.orders.figures().keys == 1


@virtually
async def test_the_example_of_the_documents_is_taken_by_a_box(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    message = re.search(r"```json\n(\{.*\})\n```", page)
    public = re.search(r"`([0-9a-f]{64})`", page)
    signed = re.search(r"```\n(\{.*\})\n```", page)
    assert message is not None and public is not None and signed is not None
    assert canonical(json.loads(message[1])) == signed[1].encode()
    (tmp_path / "rfc8032.pub").write_text(public[1])
    bench = Bench(tmp_path, CommandKey(id="rfc8032", file="rfc8032.pub"))
    bench.clock.set("2026-11-28T02:00:30Z")
    assert bench.give(message[1].encode()) == ""
    assert bench.give(message[1].replace("wicket", "staff").encode()) == "forged"


Spoil = Callable[[Bench], bytes]
BAD: dict[str, Spoil] = {
    "forged": lambda bench: bench.sign(bench.order()).replace(b"lockdown", b"acknowledge"),
    "malformed": lambda bench: b"{}",
    "malformed: no signature": lambda bench: json.dumps(bench.order()).encode(),
    "malformed: a word too many": lambda bench: bench.sign(bench.order(box="x")),
    "malformed: a number for a text": lambda bench: bench.sign(bench.order(args={"lane": 1})),
    "malformed: no box": lambda bench: bench.sign(bench.order() | {"id": "c1"}),
    "malformed: endless": lambda bench: bench.sign(bench.order(args={"reason": "x" * 121})),
    "malformed: many": lambda bench: bench.sign(bench.order(args={f"a{n}": "" for n in range(17)})),
    "malformed: a control character": lambda bench: bench.sign(bench.order(args={"reason": "a\nb"})),
    "malformed: no time": lambda bench: bench.sign(bench.order(issued_at="yesterday")),
    "malformed: no such day": lambda bench: bench.sign(bench.order(issued_at="2026-02-30T00:00:00Z")),
    "malformed: local time": lambda bench: bench.sign(bench.order(issued_at="2026-02-03T00:00:00+08:00")),
    "malformed: bytes": lambda bench: b"\xff\xfe\x00",
    "malformed: deep": lambda bench: b"[" * 4000,
    "too_long": lambda bench: b" " * (MOST_BYTES + 1),
    "wrong_box": lambda bench: bench.sign(bench.order() | {"id": "dongfang-primary/gate-2/c1"}),
    "expired": lambda bench: bench.sign(
        bench.order(issued_at="2020-01-01T00:00:00Z", expires_at="2020-01-01T00:00:59Z")
    ),
    "unknown_verb": lambda bench: bench.sign(bench.order("dance")),
    "rank": lambda bench: bench.sign(bench.order("raise", args={"lane": "main"})),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_one_is_one_record_with_its_reason_and_does_nothing(case: str, tmp_path: Path) -> None:
    why = case.partition(":")[0]

    @virtually
    async def play() -> None:
        bench = Bench(tmp_path)
        before = bench.box.state
        assert bench.give(BAD[case](bench)) == why
        assert bench.outcomes() == [("command.refused", why)]
        assert bench.orders.figures().refused == {why: 1}
        after = bench.box.state
        assert (after.panic, after.lanes, after.doors) == (before.panic, before.lanes, before.doors)

    play()


@virtually
async def test_one_nested_without_end_is_one_record_like_any_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    deep = b'{"args":' + b"[" * 2000 + b"]" * 2000 + b"}"
    assert bench.give(deep) == "malformed"
    assert bench.give(deep, retained=True) == "retained"
    assert [kind for kind, _ in bench.outcomes()] == ["command.refused"] * 2


@virtually
async def test_what_lay_at_the_broker_is_no_command(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.give(bench.sign(bench.order()), retained=True) == "retained"
    assert bench.give(bench.sign(bench.order())) == "", "its id was not spent by that"


@virtually
async def test_a_replay_is_refused_and_a_forged_one_spends_no_id(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    good = bench.sign(bench.order())
    assert bench.give(good.replace(b"lockdown", b"release")) == "forged"
    assert bench.give(good) == ""
    assert bench.give(good) == "duplicate"
    assert bench.orders.figures().refused == {"duplicate": 1, "forged": 1}


@virtually
async def test_a_box_without_a_key_takes_no_command(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(tmp_path, CommandKey(id="lost", file="nowhere.pub"))
    assert bench.give(bench.sign(bench.order())) == "no_key"
    assert "lost" in caplog.text and "nowhere.pub" in caplog.text


@virtually
async def test_each_change_of_keys_and_each_trouble_is_one_record(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    (old,) = bench.orders._keys
    one = Keys((old,), ("a",))
    for keys in (Keys((old,)), one, one, Keys((), ("a", "b")), Keys((old,)), one):
        bench.orders.use(keys)
    records = [record for record in bench.box.paper.records if record.kind.startswith("command.keys")]
    told = [(record.kind.removeprefix("command."), record.data["keys"], record.data.get("why")) for record in records]
    name = old.told()
    assert told == [
        ("keys_refused", [name], ["a"]),
        ("keys", [], None),
        ("keys_refused", [], ["a", "b"]),
        ("keys", [name], None),
        ("keys_refused", [name], ["a"]),
    ]


@virtually
async def test_keys_overlap_while_one_replaces_the_other(tmp_path: Path) -> None:
    old = CommandKey(id="old", file="old.pub", valid_to="2026-09-30")
    new = CommandKey(id="new", file="new.pub", valid_from="2026-09-20")
    bench = Bench(tmp_path, old, new, names=("old", "new"))
    taken = {}
    for day in ("09-19", "09-20", "09-30", "10-01"):
        bench.clock.set(f"2026-{day}T04:00:00Z")  # noon in Shanghai
        for name in ("old", "new"):
            taken[day, name] = bench.give(bench.sign(bench.order(ident=f"{day}-{name}"), name))
    refused = {key for key, why in taken.items() if why == "key_out_of_date"}
    assert refused == {("09-19", "new"), ("10-01", "old")}
    assert {why for why in taken.values() if why != "key_out_of_date"} == {""}


@virtually
async def test_a_key_named_again_for_another_time_holds_in_both(tmp_path: Path) -> None:
    first = CommandKey(id="2026", file="old.pub", valid_to="2026-09-30")
    again = CommandKey(id="2027", file="old.pub", valid_from="2026-10-01")
    bench = Bench(tmp_path, first, again)
    for day, by in (("09-30", "2026"), ("10-01", "2027")):
        bench.clock.set(f"2026-{day}T04:00:00Z")
        assert bench.give(bench.sign(bench.order(ident=day))) == ""
        done = [record for record in bench.box.paper.records if record.kind == "command.done"]
        assert done[-1].actor == f"upstream:{by}"


@virtually
async def test_without_a_clock_none_is_taken(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    payload = bench.sign(bench.order())
    bench.clock.trust = ClockTrust.UNTRUSTED
    bench.box.runtime.handle(ClockChanged(ClockTrust.UNTRUSTED))
    assert bench.give(payload) == "clock_untrusted"
    assert not bench.box.state.panic.lockdown


@virtually
async def test_a_flood_is_counted_and_not_written_down(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for _ in range(1000):
        bench.give(b"nonsense")
    assert len(bench.outcomes()) == AT_ONCE
    assert bench.orders.figures().refused == {"malformed": 1000}
    await asyncio.sleep(EVERY_S * 1.1)
    bench.give(b"nonsense")
    records = [record for record in bench.box.paper.records if record.kind == "command.refused"]
    assert records[-1].data["unrecorded"] == 1000 - AT_ONCE
    assert bench.give(bench.sign(bench.order())) == "", "a flood keeps nobody from commanding"


@virtually
async def test_a_flood_of_signed_ones_played_back_is_counted_too_and_hides_nobody_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    old = bench.sign(bench.order())
    assert bench.give(old) == ""
    for _ in range(1000):
        assert bench.give(old) == "duplicate"
    assert bench.outcomes() == [("command.done", ""), *[("command.refused", "duplicate")] * AT_ONCE]
    assert bench.orders.figures().refused == {"duplicate": 1000}
    bench.give(b"nonsense")
    assert bench.outcomes()[-1] == ("command.refused", "malformed"), "a stranger is written down all the same"
    await asyncio.sleep(EVERY_S * 1.1)
    bench.give(old)
    last = bench.box.paper.records[-1]
    assert (last.kind, last.actor, last.data["id"]) == ("command.refused", "upstream:old", f"{BOX}/c1")
    assert last.data["unrecorded"] == 1000 - AT_ONCE


def test_nothing_a_stranger_wrote_becomes_a_record(tmp_path: Path) -> None:
    @virtually
    async def play() -> None:
        bench = Bench(tmp_path)
        bench.give(json.dumps({"id": "王小明 13800000000", "verb": "王小明", "args": {"a": "b"}}).encode())
        (record,) = (record for record in bench.box.paper.records if record.kind == "command.refused")
        assert record.data == {"args": {}, "id": "", "rank": "upstream", "verb": "?", "why": "malformed"}

    play()


# ── whatever is done to a good one ─────────────────────────────────────────────────────────────────────────────────


def spoilt(good: bytes, rng: random.Random) -> bytes:
    """A good message with a few bytes flipped, lost, doubled, moved or made up."""
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 40))):
        at = rng.randrange(len(data))
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at]
            case 2:
                data.insert(at, rng.randrange(256))
            case 3:
                data[at : at + 2] = data[at : at + 2][::-1]
            case 4:
                data[at:at] = data[at : at + rng.randrange(60)]
            case _:
                data[at : at + rng.randrange(60)] = b""
        if not data:
            break
    return bytes(data)


def means_the_same(good: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(good) == json.loads(other))
    except (ValueError, RecursionError):
        return False


@pytest.mark.parametrize("verb", ["lockdown", "release", "drill_propose"])
def test_random_mutations_of_a_good_command_never_act(verb: str, tmp_path: Path) -> None:
    seed = 20_261_128

    @virtually
    async def play() -> None:
        rng = random.Random(seed)
        bench = Bench(tmp_path)
        args = {"door": "wicket", "button": "office", "reason": "training", "note": "演练"}
        good = bench.sign(bench.order(verb, args=args))
        tried = 0
        for _ in range(4000):
            bad = spoilt(good, rng)
            if means_the_same(good, bad):
                continue
            tried += 1
            before = bench.box.state
            assert bench.give(bad), f"seed {seed}: this acted: {bad!r}"
            after = bench.box.state
            assert (after.panic, after.lanes, after.doors, after.orders) == (
                before.panic, before.lanes, before.doors, before.orders,
            ), bad  # fmt: skip
        assert tried > 3000
        assert bench.give(good) == ""

    play()


@virtually
async def test_the_districts_own_lies_are_all_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    signer = bench.signers["old"]
    bench.clock.set(datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    assert bench.give(signer.payload(BOX, "lockdown", {})) == ""
    expected = {lie: lie for lie in ("forged", "wrong_box", "retained", "malformed")}
    expected |= {"stale": "expired", "future": "from_the_future", "replay": "duplicate", "huge": "too_long"}
    assert set(expected) == set(LIES)
    for lie, why in expected.items():
        payload = signer.payload(BOX, "acknowledge", {}, lie=lie)
        assert bench.give(payload, retained=lie == "retained") == why, lie
