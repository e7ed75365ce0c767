"""A hundred thousand cards: how long a bundle takes to load, what it holds, how long one decision takes.

Each in a process of its own, so that memory is told apart, against bare floors in the same run: reading the same bytes
as plain JSON, and finding a card in a dictionary.

`python -m bench.people load|decide BUNDLE` is such a process; it prints a JSON line.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.stats import ratio, summary

CARDS = 100_000
DECISIONS = 20_000
LOADS = 5
MEBIBYTE = 1 << 20
SITE = Path(__file__).parents[1] / "hardware" / "sites" / "demo.toml"


def measure() -> dict[str, Any]:
    from agent.journal.keys import BoxKey
    from agent.policy import bundle

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.bundle"
        key = BoxKey.generate()
        path.write_bytes(bundle.pack(_wire(), b"", key))
        path.with_suffix(".pub").write_bytes(key.public)
        return {
            "cards": CARDS,
            "bundle_bytes": path.stat().st_size,
            "load": _load(path),
            "decide": _run("decide", path),
        }


def _load(path: Path) -> dict[str, Any]:
    rounds = [_run("load", path) for _ in range(LOADS)]
    best = min(rounds, key=lambda told: float(told["load_s"]))
    return best | {"ratio": ratio(best["load_s"], min(told["floor_s"] for told in rounds))}


def _run(what: str, path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.people", what, str(path)], check=True, capture_output=True, text=True
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _wire() -> dict[str, Any]:
    """A school district's worth of people on one demo gate, all of them pupils bound by an open day."""
    rows = [
        {"card": _card(number), "holder": f"pupil-{number:06d}", "group": "pupil", "grade": str(number % 6 + 1),
         "class": f"{number % 6 + 1}-{number % 12 + 1}", "to_ms": 1_814_400_000_000, "line": number + 2}
        for number in range(CARDS)
    ]  # fmt: skip
    window = {"kind": "open", "start": 0, "end": 1440, "passages": [{"direction": "both"}]}
    return {
        "version": 1, "made_at_ms": 1, "site_box": "dongfang-primary/*", "credentials_file": "people.csv",
        "calendar": {"first": "2026-01-01", "last": "2027-12-31", "weekdays": ["open"] * 7},
        "plans": [{"id": "open", "windows": [window]}],
        "groups": [{"id": "pupil", "kind": "pupil", "doors": ["wicket"]}],
        "credentials": rows,
    }  # fmt: skip


def _card(number: int) -> str:
    return f"uart-125k:{number * 2_654_435_761 % (1 << 40):010X}"  # spread over all numbers, each once


# ── the processes ──────────────────────────────────────────────────────────────────────────────────────────────────


def _load_once(path: Path) -> dict[str, Any]:
    """The way a box takes a bundle, in a thread, while another stands in for the loop that a press needs."""
    from agent.policy.bundle import unpack
    from agent.policy.store import PolicyStore
    from agent.site_rules import rules_of

    rules = rules_of(_demo_site())
    key, data = path.with_suffix(".pub").read_bytes(), path.read_bytes()
    before = _memory("VmRSS")
    with tempfile.TemporaryDirectory() as folder, _Watch() as watch:
        began = time.perf_counter()
        stored = PolicyStore(Path(folder), [key], rules).take(data)
        load_s = time.perf_counter() - began
    held = _memory("VmRSS") - before
    peak = _memory("VmHWM") - before
    assert len(stored.policy.credentials) == CARDS
    plain = _plain(unpack(data, [key]).policy)
    began = time.perf_counter()
    json.loads(plain)
    floor_s = time.perf_counter() - began
    return {
        "load_s": round(load_s, 3), "floor_s": round(floor_s, 3), "held_mb": round(held / MEBIBYTE, 1),
        "peak_mb": round(peak / MEBIBYTE, 1), "plain_mb": round(len(plain) / MEBIBYTE, 1),
        "loop_held_ms": round(watch.worst_s * 1000, 1),
    }  # fmt: skip


def _plain(packed: bytes) -> bytes:
    import zlib

    return zlib.decompress(packed)


class _Watch:
    """The longest time for which nobody else could run."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        last = time.perf_counter()
        while not self._stop.wait(0.001):
            now = time.perf_counter()
            self.worst_s, last = max(self.worst_s, now - last - 0.001), now

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _decide(path: Path) -> dict[str, Any]:
    """One step of the core for each card read at the wicket, known and unknown, against one look into a dictionary."""
    from agent.core import box
    from agent.core.events import CardRead, Now, PolicyChanged, ScanComplete, Started
    from agent.core.policy_parse import parse
    from agent.core.words import ClockTrust
    from agent.policy.bundle import unpack
    from agent.site_rules import rules_of

    policy, found = parse(unpack(path.read_bytes(), None).wire())
    assert policy is not None, found
    at = Now(mono_s=100.0, wall_ms=1_790_000_000_000, trust=ClockTrust.TRUSTED)
    state = box.start(rules_of(_demo_site()))
    for event in (Started("b00t", None, None), ScanComplete(), PolicyChanged(policy, "d", "bench", "bench")):
        state, _ = box.step(state, event, at)
    dice = random.Random(7)
    cards = [_card(dice.randrange(CARDS)) if dice.random() < 0.95 else _card(CARDS + 1) for _ in range(DECISIONS)]
    took, floor = [], []
    for number, card in enumerate(cards):
        at = msgspec.structs.replace(at, mono_s=100.0 + 6.0 * number, wall_ms=at.wall_ms + 6000)
        began = time.perf_counter()
        state, records = box.step(state, CardRead("wicket-in", card), at)
        took.append((time.perf_counter() - began) * 1e3)
        assert records
    for card in cards:
        began = time.perf_counter()
        policy.credentials.get(card)
        floor.append((time.perf_counter() - began) * 1e3)
    return {"ours": summary(took), "floor": summary(floor)}


def _demo_site() -> Any:
    from hardware import loader

    site, _ = loader.load(SITE)
    assert site is not None
    return site


def _memory(what: str) -> int:
    """Bytes, of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) * 1024


if __name__ == "__main__":
    print(json.dumps(_load_once(Path(sys.argv[2])) if sys.argv[1] == "load" else _decide(Path(sys.argv[2]))))
