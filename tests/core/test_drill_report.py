"""The report of a drill: made from records, signed, and nothing done to it goes unseen."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from people_scenes import Gate

from agent.core.events import AlarmStage, Note
from agent.core.records import encode
from agent.core.words import Stage
from agent.drills import command, report
from agent.drills.report import BadReport, build, digest, ident, opened, seal
from agent.journal.keys import BoxKey

KEY = BoxKey.generate()


def bodies(gate: Gate) -> list[dict[str, Any]]:
    """The records as the journal gives them back."""
    return [json.loads(encode(record)) for record in gate.records]


def drilled(*, real: bool = False) -> Gate:
    """A drill of two presses, heard on two paths, ended by hand or by a real press."""
    gate = Gate().start()
    ref = gate.announce(minutes="10")
    gate.wait(0.2)
    gate.send(AlarmStage(ref, "mqtt", Stage.SENT))
    gate.send(AlarmStage(ref, "mqtt", Stage.RECEIVED, "district"))
    for _ in range(2):
        press = gate.press()[0]
        gate.send(AlarmStage(press.ref, "mqtt", Stage.RECEIVED, "district"))
        gate.send(AlarmStage(press.ref, "dc09", Stage.RECEIVED, "10.0.0.9:7700"))
        data: dict[str, object] = {"press": list(press.ref), "decision_us": 400, "received_us": 90_000}
        gate.send(Note("panic.latency", "gatehouse", "box", data))
        gate.wait(11.0)
    if real:
        gate.press("wicket")
    else:
        gate.command("drill_end")
    return gate


def started(gate: Gate) -> tuple[int, int]:
    return gate.of("drill.started")[0].ref


def made(gate: Gate) -> dict[str, Any]:
    found = build(bodies(gate), started(gate))
    assert found is not None
    return found


def test_a_report_tells_all_of_the_drill() -> None:
    gate = drilled()
    told = made(gate)
    assert told["id"] == ident(started(gate)) == f"1-{started(gate)[1]}"
    assert (told["operator"], told["button"], told["reason"]) == ("guard-1", "gatehouse", "monthly_test")
    assert told["began"]["answered"] is True and told["began"]["waited_ms"] == 200
    assert [(s["path"], s["stage"], s["after_ms"]) for s in told["announced"]["stages"]] == [
        ("mqtt", "sent", 200),
        ("mqtt", "received", 200),
    ]
    assert [press["hops"] for press in told["presses"]] == [{"decision_us": 400, "received_us": 90_000}] * 2
    assert [[s["path"] for s in press["stages"]] for press in told["presses"]] == [["mqtt", "dc09"]] * 2
    assert told["told"] == [{"by": "10.0.0.9:7700", "path": "dc09"}, {"by": "district", "path": "mqtt"}]
    assert (told["ended"]["why"], told["ended"]["actor"]) == ("command", "desk")
    assert all(press["drill"] for press in told["presses"])
    text = "\n".join(command.lines(told))
    assert "answered" in text and "REAL" not in text and "10.0.0.9:7700 (dc09)" in text


def test_a_real_press_that_ended_it_stands_in_it_as_real() -> None:
    told = made(drilled(real=True))
    assert [(press["button"], press["drill"]) for press in told["presses"]] == [
        ("gatehouse", True), ("gatehouse", True), ("wicket", False),
    ]  # fmt: skip
    assert told["ended"]["why"] == "real_press"
    assert "REAL" in "\n".join(command.lines(told))


def test_a_drill_that_nobody_heard_of_says_so() -> None:
    gate = Gate().start()
    gate.announce()
    gate.wait(400.0)
    told = made(gate)
    assert (told["began"], told["presses"], told["told"], told["ended"]["why"]) == (None, [], [], "not_begun")
    assert told["announced"]["unanswered"] is True
    text = "\n".join(command.lines(told))
    assert "never: every press was real" in text and "nobody has confirmed" in text


def test_a_restart_ends_it_and_the_report_knows() -> None:
    gate = Gate().start()
    gate.drill()
    gate.press()
    again = gate.restart()
    told = build(bodies(gate) + bodies(again), started(gate))
    assert told is not None
    assert (told["ended"]["why"], len(told["presses"])) == ("restart", 1)


def test_before_its_end_there_is_no_report_and_another_drills_end_is_not_its() -> None:
    gate = Gate().start()
    gate.drill()
    assert build(bodies(gate), started(gate)) is None
    gate.command("drill_end")
    gate.drill("office")
    second = gate.of("drill.started")[1].ref
    assert build(bodies(gate), second) is None
    gate.command("drill_end")
    told = build(bodies(gate), second)
    assert told is not None and told["button"] == "office" and told["presses"] == []


# ── signed ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_sealed_report_opens_and_only_with_its_boxs_key() -> None:
    told = made(drilled())
    data = seal(told, KEY)
    assert opened(data, KEY.public) == opened(data, None) == told
    with pytest.raises(BadReport, match="of another box"):
        opened(data, BoxKey.generate().public)


def test_whatever_is_changed_in_a_report_is_found(seed: int) -> None:
    data = seal(made(drilled()), KEY)
    rng = random.Random(seed)
    for _ in range(2000):
        spoilt = bytearray(data)
        at = rng.randrange(len(spoilt))
        match rng.randrange(3):
            case 0:
                spoilt[at] ^= 1 << rng.randrange(8)
            case 1:
                del spoilt[at]
            case _:
                spoilt.insert(at, rng.randrange(256))
        if bytes(spoilt) == data:
            continue
        with pytest.raises(BadReport):
            opened(bytes(spoilt), KEY.public)


def test_the_signature_is_written_in_one_way_only() -> None:
    """The last character of 64 bytes in base64 has four bits that say nothing."""
    data = seal(made(drilled()), KEY)
    before, _, after = data.rpartition(b'=="')
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(before[-1:]) ^ 1]
    with pytest.raises(BadReport):
        opened(before[:-1] + bytes([other]) + b'=="' + after, KEY.public)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"report":{},"signature":""}', b" " * (1 << 21)])
def test_what_is_no_report_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BadReport):
        opened(data, None)


def test_a_signature_made_for_something_else_is_none_for_a_report() -> None:
    told = made(drilled())
    plain = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    stolen = report.seal(told, KEY).replace(
        json.loads(report.seal(told, KEY))["signature"].encode(), _b64(KEY.sign(plain))
    )
    with pytest.raises(BadReport, match="signature"):
        opened(stolen, KEY.public)


def _b64(raw: bytes) -> bytes:
    import base64

    return base64.b64encode(raw)


# ── by command ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_verify_needs_the_file_and_the_key_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, key = tmp_path / "1-7.json", tmp_path / "journal.pub"
    file.write_bytes(seal(made(drilled()), KEY))
    key.write_bytes(KEY.public_pem())
    assert command.run(["verify", str(file), "--key", str(key)]) == 0
    assert "the signature holds" in capsys.readouterr().out
    file.write_bytes(file.read_bytes().replace(b"monthly_test", b"inspection"))
    assert command.run(["verify", str(file), "--key", str(key)]) == 1
    assert "the report was changed" in capsys.readouterr().err
    key.write_text("no key")
    assert command.run(["verify", str(file), "--key", str(key)]) == 2


def test_the_digest_is_of_the_whole_file() -> None:
    data = seal(made(drilled()), KEY)
    assert digest(data) != digest(data[:-1]) and len(digest(data)) == 64
