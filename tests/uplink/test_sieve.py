"""In a flood of commands that nobody signed, or that somebody plays back, the district's own ones go first."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.core.records import utc_text
from agent.link import ControlLink
from agent.order import MOST_BYTES
from agent.uplink.commands import Commands
from agent.uplink.reporter import Reporter
from agent.uplink.sieve import MOST_SEEN, Sieve
from sim.orders import Signer, canonical

BOX = "test-school/gate-1"
FLOOD = 40  # messages that come while control answers one


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.of(tmp_path / "district.key")


def keys(*signers: Signer) -> tuple[bytes, ...]:
    return tuple(signer._key.public_key().public_bytes_raw() for signer in signers)


def made_of(signer: Signer, lie: str) -> Callable[[], bytes]:
    return lambda: good(signer, lie=lie)


def sieve(*signers: Signer) -> Sieve:
    made = Sieve(BOX)
    made.keys = keys(*signers)
    return made


def good(signer: Signer, **more: Any) -> bytes:
    return signer.payload(BOX, "lockdown", {}, **more)


def test_only_what_control_may_well_carry_out_goes_first(signer: Signer, tmp_path: Path) -> None:
    other = Signer.of(tmp_path / "other.key")
    sifted = sieve(signer)
    first = good(signer)
    assert sifted.is_first(first, retained=False)
    assert not sifted.is_first(first, retained=False), "a copy of it"
    assert not sifted.is_first(good(signer), retained=True)
    assert not sifted.is_first(good(other), retained=False)
    for lie in ("forged", "stale", "wrong_box", "huge", "malformed"):
        assert not sifted.is_first(good(signer, lie=lie), retained=False), lie
    assert not sifted.is_first(good(signer, valid_s=86_400.0), retained=False), "played back all day long"
    assert not sifted.is_first(b"\xff" * (MOST_BYTES + 1), retained=False)
    assert sieve(other, signer).is_first(good(signer), retained=False), "by the second key"
    assert not sieve().is_first(good(signer), retained=False)


def test_a_forged_copy_spends_no_id(signer: Signer) -> None:
    sifted = sieve(signer)
    made = good(signer)
    forged = json.dumps(json.loads(made) | {"verb": "acknowledge"}).encode()
    assert not sifted.is_first(forged, retained=False)
    assert sifted.is_first(made, retained=False)


def test_what_it_remembers_is_bounded_and_gone_when_it_has_expired(signer: Signer) -> None:
    wall_ms = [0]
    sifted = Sieve(BOX, lambda: wall_ms[0])
    sifted.keys = keys(signer)
    now_ms = [1_000]
    made = [_at(signer, now_ms[0] + index) for index in range(MOST_SEEN + 10)]
    assert all(sifted.is_first(one, retained=False) for one in made)
    assert len(sifted._seen) == MOST_SEEN
    wall_ms[0] = 10_000_000
    late = _at(signer, wall_ms[0])
    assert sifted.is_first(late, retained=False)
    assert list(sifted._seen) == [json.loads(late)["id"]]


def _at(signer: Signer, issued_ms: int) -> bytes:
    """A good command of that time."""
    order = json.loads(good(signer)) | {"issued_at": utc_text(issued_ms), "expires_at": utc_text(issued_ms + 60_000)}
    del order["sig"]
    return json.dumps(order | {"sig": base64.b64encode(signer._key.sign(canonical(order))).decode()}).encode()


class Control(ControlLink):
    """Answers so many orders; while it does, `more` comes in."""

    def __init__(self, orders: int) -> None:
        self.orders: list[bytes] = []
        self.more: Callable[[], None] = lambda: None
        self.enough = asyncio.Event()
        self._wanted = orders

    async def request(self, message: dict[str, Any], *, timeout_s: float | None = None) -> dict[str, Any]:
        self.orders.append(message["order"].encode())
        self.more()
        if len(self.orders) >= self._wanted:
            self.enough.set()
        return {"ok": True}


@pytest.mark.parametrize("kind", ["nonsense", "forged", "stale", "replay", "other box"])
async def test_a_good_command_gets_through_a_flood(kind: str, signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.uplink.commands.PACE_S", 0.0)
    control = Control(60)
    commands = Commands(control, Reporter(control, ()), sieve(signer))
    played_back = good(signer)
    lies = {
        "nonsense": lambda: b"{}",
        "forged": made_of(signer, "forged"),
        "stale": made_of(signer, "stale"),
        "replay": lambda: played_back,
        "other box": made_of(signer, "wrong_box"),
    }
    given = [good(signer) for _ in range(5)]
    wanted = iter(given)
    turn = itertools.count()

    def flood() -> None:
        for _ in range(FLOOD):
            commands.take(lies[kind](), False)
        if next(turn) % 10 == 5:
            for made in itertools.islice(wanted, 1):
                commands.take(made, False)

    control.more = flood
    flood()
    work = asyncio.create_task(commands.run())
    await control.enough.wait()
    work.cancel()
    places = [control.orders.index(made) for made in given]
    assert places == [5, 15, 25, 35, 45], "each is the very next after the one that was under way"
    assert commands.dropped > 50 * FLOOD
