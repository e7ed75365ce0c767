"""`menwei explain` beside a running box: the box's own core answers, and a box that is away is told."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from control_scenes import DEMO, NoDevices, boot, demo_site
from msgspec.structs import replace

from agent import cli
from agent.control import compose, role
from agent.control.peers import Part
from agent.core.events import CardRead, ClockChanged, Command, PolicyChanged
from agent.core.words import ClockTrust, Rank
from agent.policy.command import from_folder
from agent.preview import command
from hardware.site import Site

STAFF, NOBODYS = "0100A1B2C4", "0999999999"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(compose, "Devices", NoDevices)
    monkeypatch.setattr(role, "LIMIT_S", 60.0)
    (tmp_path / "gatebox.toml").write_bytes(DEMO.read_bytes())
    return demo_site(tmp_path)


async def menwei(folder: Path, *words: str) -> int:
    return await asyncio.to_thread(cli.main, ["explain", *words, "--config", str(folder / "gatebox.toml")])


async def test_the_box_answers_with_what_is_the_matter_now(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ("--card", STAFF, "--reader", "wicket-in")
    async with boot(site) as control:
        assert await menwei(tmp_path, *ask) == 0
        assert "GRANTED\n" in capsys.readouterr().out
        control._emit(Command("c1", Rank.CONSOLE, "guard-1", "lockdown", {}))
        assert await menwei(tmp_path, *ask, "--json", "--at", "now") == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["granted"], told["why"], told["basis"]) == (False, "lockdown", "now")
        for _ in range(5):
            control._emit(CardRead("wicket-in", f"uart-125k:{NOBODYS}"))
        assert await menwei(tmp_path, *ask) == 0
        assert "REFUSED: the reader is locked out" in capsys.readouterr().out
        assert await menwei(tmp_path, *ask, "--at", "2026-09-21T10:00", "--lang", "zh_CN") == 0
        out = capsys.readouterr().out
        assert "放行，但下列情形除外" in out and "目前正在封锁" in out


@pytest.mark.parametrize("trust", [ClockTrust.TRUSTED, ClockTrust.UNTRUSTED])
async def test_a_day_is_not_told_as_if_it_ran_while_the_clock_is_not_trusted(
    trust: ClockTrust, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, _, _ = from_folder(DEMO.parent / "demo-school", 1, 1)
    assert policy is not None
    async with boot(site) as control:
        real = control._clock.now()
        monkeypatch.setattr(control._clock, "now", lambda: replace(real, trust=trust))
        control._emit(ClockChanged(trust, 0))
        control._emit(PolicyChanged(policy, "digest", "test"))
        monkeypatch.setattr(command, "_in_force", lambda site: policy)
        words = ["preview", "--date", "2026-09-21", "--config", str(tmp_path / "gatebox.toml"), "--lang", "zh_CN"]
        assert await asyncio.to_thread(cli.main, words) == 0
    assert ("本箱时钟不可信" in capsys.readouterr().out) is (trust is ClockTrust.UNTRUSTED)


@pytest.mark.parametrize("form", ["--json", "--html"])
async def test_a_user_who_may_not_ask_is_shown_no_empty_list(
    form: str, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty list at the assembly point says that nobody is left inside."""
    at = ["--config", str(tmp_path / "gatebox.toml")]
    async with boot(site) as control:
        control._server._users = {os.getuid(): frozenset({Part.UPSTREAM})}
        assert await asyncio.to_thread(cli.main, ["muster", form, *at]) == 1
        told = capsys.readouterr()
        assert told.out == "" and "does not tell who is inside: 'guard' is not for this user" in told.err
        assert await menwei(tmp_path, "--card", STAFF, "--reader", "wicket-in") == 2
        assert "is not for this user" in capsys.readouterr().err


async def test_what_the_box_cannot_answer_is_misuse(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with boot(site):
        for words, told in (
            (("--card", STAFF, "--reader", "door"), "there is no reader “door”"),
            (("--card", "so", "--reader", "wicket-in"), "is no card number"),
            (("--card", STAFF, "--reader", "wicket-in", "--at", "0007-01-01T10:00"), "no time"),
        ):
            assert await menwei(tmp_path, *words) == 2
            assert told in capsys.readouterr().err
    assert await menwei(tmp_path, "--card", STAFF, "--reader", "wicket-in") == 2
    assert "no school policy is in force" in capsys.readouterr().err
