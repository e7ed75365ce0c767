"""Control writes a drill's report by itself: after its end, after a crash, once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from control_scenes import NoDevices, boot, demo_site, until

from agent.control import compose, drills, role
from agent.core import drill as drill_core
from agent.core.events import AlarmStage, CardRead, Command, PanicLine, PathHealth, ScanComplete
from agent.core.words import Line, Rank, Stage
from agent.drills import command
from agent.drills.report import digest, opened
from agent.journal.keys import load_public
from agent.journal.reader import JournalReader
from hardware import places
from hardware.site import Site

GUARD = "uart-125k:0100A1B2C3"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(compose, "Devices", NoDevices)
    monkeypatch.setattr(role, "LIMIT_S", 60.0)
    monkeypatch.setattr(role, "LATENCY_RECORD_S", 0.3)
    monkeypatch.setattr(drills, "SETTLE_S", 0.6)
    monkeypatch.setattr(drills, "RETRY_S", 0.1)
    return demo_site(tmp_path / "box")


def drill(control: role.Control, *, ends: bool = True) -> None:
    """A heard drill of one press."""
    emit, loop = control._emit, asyncio.get_running_loop()
    emit(ScanComplete())
    emit(PanicLine("gatehouse", Line.NORMAL, loop.time()))
    emit(CardRead("guard", GUARD))
    args = {"button": "gatehouse", "minutes": "5", "reason": "training"}
    emit(Command("d1", Rank.CONSOLE, "console:guard", "drill_start", args))
    ref = control._runtime.state.drill.ref
    assert ref is not None
    emit(AlarmStage(ref, "mqtt", Stage.RECEIVED, "district"))
    emit(PanicLine("gatehouse", Line.PRESSED, loop.time()))
    emit(PanicLine("gatehouse", Line.NORMAL, loop.time()))
    if ends:
        emit(Command("d2", Rank.CONSOLE, "console:guard", "drill_end", {}))


def told(site: Site) -> list[dict[str, Any]]:
    """The data of the journal's records of reports."""
    with JournalReader(places.storage_dir(site) / "journal.db") as reader:
        rows: list[Any] = reader.records({"drill.report"}, 10)
    return [row.data["data"] for row in rows]


def files(site: Site) -> list[Path]:
    return sorted((places.storage_dir(site) / "drills").glob("*.json"))


async def test_a_drill_gets_its_signed_report_and_the_journal_names_it(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with boot(site) as control:
        drill(control)
        await until("the report is named", lambda: told(site))
    (file,), (record,) = files(site), told(site)
    data = file.read_bytes()
    folder = places.storage_dir(site)
    made = opened(data, load_public((folder / "journal.pub").read_bytes()))
    assert record == {
        "answered": True, "button": "gatehouse", "drill": True, "id": file.stem, "presses": 1, "sha256": digest(data),
    }  # fmt: skip
    assert {"decision_us", "durable_us"} <= set(made["presses"][0]["hops"])
    words = ["verify", str(file), "--key", str(folder / "journal.pub"), "--journal", str(folder / "journal.db")]
    assert command.run(words) == 0
    other = folder / "other.json"
    other.write_bytes(data.replace(b"\n", b""))
    assert command.run([*words[:1], str(other), *words[2:]]) == 1
    monkeypatch.setattr(command, "load_site", lambda path: site)
    capsys.readouterr()
    assert command.run(["list"]) == 0
    assert file.stem in (listed := capsys.readouterr().out) and "training" in listed
    assert command.run(["show", file.stem]) == 0
    assert "guard-1" in capsys.readouterr().out
    assert command.run(["show", "9-9"]) == 2


async def test_what_a_crash_left_unwritten_is_written_after_the_next_start_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drills, "SETTLE_S", 60.0)
    async with boot(site) as control:
        drill(control, ends=False)
    assert files(site) == []
    monkeypatch.setattr(drills, "SETTLE_S", 0.2)
    async with boot(site):
        await until("the report is named", lambda: told(site))
    (file,) = files(site)
    assert json.loads(file.read_bytes())["report"]["ended"]["why"] == "restart"
    async with boot(site):
        await asyncio.sleep(0.5)
    assert len(told(site)) == 1, "a report is owed once"


async def test_a_card_that_refuses_the_file_is_asked_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def refuses(path: Path, data: bytes, mode: int = 0o640) -> None:
        asked.append(path)
        if len(asked) < 3:
            raise OSError("no space left")
        path.write_bytes(data)

    monkeypatch.setattr(drills, "replace_file", refuses)
    async with boot(site) as control:
        drill(control)
        await until("the report is named", lambda: told(site))
    assert len(asked) == 3


# ── asked for by command, over the real socket ─────────────────────────────────────────────────────────────────────


async def by_hand(*words: str) -> int:
    """`menwei drill …` in a thread of its own, as it is a program of its own."""
    return await asyncio.to_thread(command.run, list(words))


START = ("start", "--button", "gatehouse", "--reason", "training", "--minutes", "2")


def ready(control: role.Control) -> None:
    control._emit(ScanComplete())
    control._emit(PanicLine("gatehouse", Line.NORMAL, asyncio.get_running_loop().time()))


async def test_a_drill_by_command_waits_until_somebody_has_heard(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "load_site", lambda path: site)
    async with boot(site) as control:
        ready(control)
        assert await by_hand(*START) == 1
        assert "nobody has shown a guard's card here" in capsys.readouterr().err
        control._emit(CardRead("guard", GUARD))
        asked = asyncio.create_task(by_hand(*START))
        await until("it is announced", lambda: control._runtime.state.drill.ref)
        assert not asked.done()
        ref = control._runtime.state.drill.ref
        assert ref is not None
        control._emit(AlarmStage(ref, "mqtt", Stage.RECEIVED, "district"))
        assert await asked == 0
        assert "heard by mqtt: presses of gatehouse are a drill for 2 min" in capsys.readouterr().out
        assert await by_hand("stop") == 0
        assert await by_hand("stop") == 1
        assert "no drill is announced or running" in capsys.readouterr().err


async def test_a_drill_by_command_that_nobody_hears_says_why_and_how_to_go_on(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "load_site", lambda path: site)
    monkeypatch.setattr(drill_core, "ANNOUNCE_S", 0.3)
    async with boot(site) as control:
        ready(control)
        control._emit(PathHealth("mqtt", False, "nobody listens at 127.0.0.1:1883"))
        control._emit(CardRead("guard", GUARD))
        assert await by_hand(*START) == 1
        said = capsys.readouterr()
        assert "every press is real" in said.out
        assert "mqtt: nobody listens at 127.0.0.1:1883" in said.err and "menwei drill go-ahead" in said.err
        control._emit(CardRead("guard", GUARD))
        assert await by_hand("go-ahead") == 0
        assert control._runtime.state.drill.live_at is not None


async def test_without_control_the_command_says_so(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "load_site", lambda path: site)
    for words in (START, ("stop",), ("go-ahead",)):
        assert await by_hand(*words) == 1
        assert "control is not running" in capsys.readouterr().err
