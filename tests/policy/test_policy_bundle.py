"""One signed file: what it carries, what it refuses, and a store that a cut of the power leaves with one whole
policy."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_files import office

from agent.core import policy_parse
from agent.core.policy_parse import parse
from agent.core.rules import BoxRules
from agent.journal.keys import BoxKey
from agent.policy import bundle
from agent.policy.bundle import BadBundle
from agent.policy.command import from_folder
from agent.policy.names import BadNames, NameTable, load_key, new_key, seal
from agent.policy.store import CURRENT, PREVIOUS, PolicyRefused, PolicyStore
from agent.site_rules import rules_of
from hardware import loader

KEY, OTHER = BoxKey.generate(), BoxKey.generate()


def rules() -> BoxRules:
    site, _ = loader.load(Path(loader.__file__).parent / "sites" / "demo.toml")
    assert site is not None
    return rules_of(site)


@pytest.fixture(scope="module")
def wires(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[str, Any]]:
    folder = office(tmp_path_factory.mktemp("office"))
    return lambda version: from_folder(folder, version, 1000 + version)[1]


Wires = Callable[[int], dict[str, Any]]


def test_what_is_packed_comes_out_and_twice_is_the_same(wires: Wires) -> None:
    data = bundle.pack(wires(3), b"names", KEY)
    assert data == bundle.pack(wires(3), b"names", KEY)
    found = bundle.unpack(data, [OTHER.public, KEY.public])
    assert (found.manifest.version, found.names) == (3, b"names")
    assert found.wire()["site_box"] == "dongfang-primary/*"


def test_its_cards_come_out_one_by_one_and_mean_the_same(wires: Wires) -> None:
    """A hundred thousand of them in one call would keep a panic press waiting."""
    unpacked = bundle.unpack(bundle.pack(wires(3), b"", KEY), [KEY.public]).wire()
    assert all(isinstance(row, msgspec.Raw) for row in unpacked["credentials"])
    assert parse(unpacked) == parse(wires(3)) and parse(unpacked)[0] is not None


def test_a_bad_card_in_a_bundle_is_named_by_its_line_and_hides_no_other(wires: Wires) -> None:
    wire = wires(3)
    good = wire["credentials"]
    bad = [good[0] | {"state": "gone"}, good[1] | {"line": "x"}, [1], good[2] | {"group": "ghosts"}]
    unpacked = bundle.unpack(bundle.pack(wire | {"credentials": [*bad, good[3]]}, b"", KEY), [KEY.public]).wire()
    policy, found = parse(unpacked)
    assert policy is None
    sources = [one.source for one in found]
    assert sources[:3] == ["people.csv:2", "people.csv:0", "people.csv:0"] and "people.csv:4" in sources
    absurd: tuple[object, ...] = ({}, None, "x", 5)
    for nonsense in absurd:
        text = bundle.unpack(bundle.pack(wire | {"credentials": nonsense}, b"", KEY), [KEY.public]).wire()
        assert any("credentials is not a list" in one.what for one in parse(text)[1])


def test_a_strangers_bundle_is_refused_before_anything_of_it_is_looked_at(wires: Wires) -> None:
    with pytest.raises(BadBundle, match="signature is wrong"):
        bundle.unpack(bundle.pack(wires(3), b"", OTHER), [KEY.public])
    with pytest.raises(BadBundle, match="knows no key"):
        bundle.unpack(bundle.pack(wires(3), b"", KEY), [])
    magic, head, signature, body = bundle.pack(wires(3), b"", KEY).split(b"\n", 3)
    for strange in (b"no JSON", b"[" * 1000, head.replace(b'"version":3', b'"version":-3'), b"{}"):
        with pytest.raises(BadBundle, match="signature is wrong"):
            bundle.unpack(b"\n".join((magic, strange, signature, body)), [KEY.public])


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 4000), flip=st.integers(1, 255), cut=st.booleans())
def test_no_byte_may_change(at: int, flip: int, cut: bool) -> None:
    data = bytearray(DATA)
    at %= len(data)
    broken = bytes(data[:at]) if cut else bytes(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
    if not cut and data[:at].count(b"\n") == 2:
        return  # white space and padding inside the signature's base64 are refused by its own strict reading
    with pytest.raises(BadBundle):
        bundle.unpack(broken, [KEY.public]).wire()


DATA = bundle.pack({"version": 1, "made_at_ms": 1, "site_box": "a/*"}, b"n" * 40, KEY)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400))
def test_whatever_comes_is_refused_in_words(data: bytes) -> None:
    for prefix in (b"", bundle.MAGIC + b"\n"):
        with pytest.raises(BadBundle):
            bundle.unpack(prefix + data, [KEY.public])


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MOST_PLAIN", 1000)
    data = bundle.pack({"version": 1, "made_at_ms": 1, "site_box": "a/*", "x": "0" * 100_000}, b"", KEY)
    with pytest.raises(BadBundle, match="far too large"):
        bundle.unpack(data, [KEY.public]).wire()


def test_more_cards_than_a_box_can_hold_are_refused_unread(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole district's export would take the memory that a panic press needs."""
    monkeypatch.setattr(policy_parse, "MOST_CARDS", 4)
    monkeypatch.setattr(policy_parse, "_CREDENTIAL", None)
    policy, found = parse(bundle.unpack(bundle.pack(wires(5), b"", KEY), [KEY.public]).wire())
    assert policy is None and len(found) == 1
    assert found[0].source == "people.csv" and "5 cards, and a box takes 4" in found[0].what


# ── the store ──────────────────────────────────────────────────────────────────────────────────────────────────────


def store(folder: Path) -> PolicyStore:
    return PolicyStore(folder, [KEY.public], rules())


def test_versions_never_go_back(tmp_path: Path, wires: Wires) -> None:
    kept = store(tmp_path)
    assert kept.current() is None
    kept.take(bundle.pack(wires(5), b"", KEY))
    kept.take(bundle.pack(wires(5), b"", KEY))  # the same again is fine
    for version, what in ((4, "older than version 5"), (5, "with other contents")):
        with pytest.raises(PolicyRefused, match=what):
            kept.take(bundle.pack(wires(version) | {"made_at_ms": 1}, b"", KEY))
    kept.take(bundle.pack(wires(6), b"", KEY))
    found = store(tmp_path).current()
    assert found is not None and found.policy.version == 6


def test_what_contradicts_this_box_is_refused_whole(tmp_path: Path, wires: Wires) -> None:
    wire = wires(5)
    wire["groups"][0]["doors"] = ["no-such-door"]
    with pytest.raises(PolicyRefused, match="no door named 'no-such-door'"):
        store(tmp_path).take(bundle.pack(wire, b"", KEY))
    with pytest.raises(PolicyRefused, match="this policy is for elsewhere"):
        store(tmp_path).take(bundle.pack(wires(5) | {"site_box": "elsewhere/*"}, b"", KEY))
    assert store(tmp_path).current() is None


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ({"patrol_hours": [18, 24]}, "patrols are looked at 24 o'clock"),
        ({"panic_test_due_days": 40}, "due after 40 days and overdue after 35"),
        ({"panic_test_due_days": 0}, "due after 0 days"),
    ],
)
def test_rules_of_duty_that_make_no_sense_are_named(rules: dict[str, object], what: str, wires: Wires) -> None:
    policy, found = parse(wires(5) | {"rules": rules | {"source": "policy.toml:63"}})
    assert policy is None
    assert [(one.source, what in one.what, bool(one.cure)) for one in found] == [("policy.toml:63", True, True)]


def test_a_weekday_without_a_plan_is_refused(wires: Wires) -> None:
    """Whoever made the bundle: on that day the gate would have no day to go by."""
    wire = wires(5)
    days = [*wire["calendar"]["weekdays"][:6], ""]
    policy, found = parse(wire | {"calendar": wire["calendar"] | {"weekdays": days}})
    assert policy is None
    assert [one.what for one in found] == ["the rule for weekdays has no day plan for sun"]


def test_a_damaged_newest_bundle_falls_back_and_says_so(tmp_path: Path, wires: Wires) -> None:
    kept = store(tmp_path)
    kept.take(bundle.pack(wires(5), b"", KEY))
    kept.take(bundle.pack(wires(6), b"", KEY))
    data = (tmp_path / CURRENT).read_bytes()
    (tmp_path / CURRENT).write_bytes(data[:-5])
    found = store(tmp_path).current()
    assert found is not None and found.policy.version == 5 and "damaged" in found.fallback[0].what
    (tmp_path / PREVIOUS).write_bytes(b"")
    with pytest.raises(PolicyRefused):
        store(tmp_path).current()


class PowerCut(BaseException):
    """Nothing catches it."""


def test_a_cut_at_every_step_of_a_swap_leaves_the_old_or_the_new(
    tmp_path: Path, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every system call that a swap makes is once the last one, and a write then writes half."""
    old, new = bundle.pack(wires(5), b"", KEY), bundle.pack(wires(6), b"", KEY)
    seen = set()
    for step in range(1, 60):
        folder = tmp_path / str(step)
        kept = store(folder)
        kept.take(old)
        kept.take(bundle.pack(wires(5), b"", KEY))
        left, trace = [step], list[str]()
        with monkeypatch.context() as patch:
            for module, name in ((os, "replace"), (os, "fsync"), (os, "write"), (os, "open"), (Path, "rename"),
                                 (Path, "replace"), (Path, "mkdir"), (Path, "write_bytes")):  # fmt: skip
                patch.setattr(module, name, _cutting(getattr(module, name), left, trace))
            try:
                kept.take(new)
                done = True
            except PowerCut:
                done = False
        found = store(folder).current()
        assert found is not None and found.fallback == ()
        assert found.policy.version == 6 if done else found.policy.version in (5, 6)
        seen.add(found.policy.version)
        if done:
            break
    assert done and step > 5 and seen == {5, 6}
    # What is renamed was synced before, or the new name may stand over nothing; and the folder after it.
    assert re.fullmatch("(mkdir )?(open (write )+fsync (replace )+open fsync ){2}", " ".join([*trace, ""]))


def _cutting(call: Callable[..., Any], left: list[int], trace: list[str]) -> Callable[..., Any]:
    def cut(*args: Any, **named: Any) -> Any:
        trace.append(call.__name__)
        left[0] -= 1
        if left[0] <= 0:
            if isinstance(args[-1], bytes | memoryview):
                call(*args[:-1], args[-1][: len(args[-1]) // 2], **named)
            raise PowerCut
        return call(*args, **named)

    return cut


def test_a_card_that_takes_nothing_changes_nothing(
    tmp_path: Path, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.policy import store as module

    kept = store(tmp_path)
    kept.take(bundle.pack(wires(5), b"", KEY))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "replace_file", full)
    with pytest.raises(PolicyRefused, match="No space left"):
        kept.take(bundle.pack(wires(6), b"", KEY))
    found = store(tmp_path).current()
    assert found is not None and found.policy.version == 5


# ── names ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_names_are_read_with_their_key_and_with_no_other(tmp_path: Path) -> None:
    new_key(tmp_path / "names.key")
    key = load_key(tmp_path / "names.key")
    sealed = seal({"pupil-1": "赵一一"}, key)
    assert "赵一一".encode() not in sealed
    assert NameTable.open(sealed, key).name("pupil-1") == "赵一一"
    assert NameTable.open(sealed, key).name("pupil-2") == "pupil-2"
    assert len(NameTable.open(b"", key)) == 0
    for bad in (sealed[:-1], b"x" * 40, sealed[:5]):
        with pytest.raises(BadNames):
            NameTable.open(bad, key)
    with pytest.raises(BadNames):
        NameTable.open(sealed, os.urandom(32))
    assert (tmp_path / "names.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        new_key(tmp_path / "names.key")
