"""`menwei run`: roles started, started again, and ended together, over real small processes."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from control_scenes import until

from agent import supervise

DIARY = "import sys, time; open(sys.argv[1], 'a').write(f'{sys.argv[2]} {time.monotonic()}\\n'); "


class Roles:
    """What each role's process does, and what their diary says."""

    def __init__(self, folder: Path) -> None:
        self.diary = folder / "diary"
        self.diary.touch()
        self.does: dict[str, str] = {}

    def command(self, role: str, site_file: Path) -> Sequence[str]:
        return (sys.executable, "-S", "-c", DIARY + self.does[role], str(self.diary), role)

    def starts(self, role: str) -> list[float]:
        lines = [line.split() for line in self.diary.read_text().splitlines()]
        return [float(at) for name, at in lines if name == role]


@pytest.fixture
def roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Roles:
    made = Roles(tmp_path)
    monkeypatch.setattr(supervise, "command", made.command)
    monkeypatch.setattr(supervise, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(supervise, "LONGEST_WAIT_S", 0.2)
    return made


def started(*names: str) -> asyncio.Task[int]:
    return asyncio.create_task(supervise.run(Path("gatebox.toml"), names))


async def told_to_stop(running: asyncio.Task[int]) -> int:
    os.kill(os.getpid(), signal.SIGTERM)
    return await asyncio.wait_for(running, 60)


async def test_a_role_that_dies_is_started_again_with_a_growing_pause(
    roles: Roles, caplog: pytest.LogCaptureFixture
) -> None:
    roles.does["control"] = "sys.exit(1)"
    running = started("control")
    await until("it was started five times", lambda: len(roles.starts("control")) >= 5)
    assert await told_to_stop(running) == 0
    starts = roles.starts("control")
    pauses = [later - sooner for sooner, later in itertools.pairwise(starts)]
    assert pauses[0] >= 0.05 and pauses[1] >= 0.1
    assert "again in 0.1 s" in caplog.text, "the first pause is the short one"
    assert all(pause >= 0.2 for pause in pauses[2:])


async def test_a_role_that_was_steady_starts_again_after_the_short_pause(
    roles: Roles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervise, "STEADY_S", 0.0)
    monkeypatch.setattr(supervise, "FIRST_WAIT_S", 0.1)
    roles.does["web"] = "sys.exit(3)"
    running = started("web")
    await until("it was started four times", lambda: len(roles.starts("web")) >= 4)
    await told_to_stop(running)
    assert "again in 0.1 s" in caplog.text and "again in 0.2 s" not in caplog.text


async def test_a_role_that_ends_well_has_nothing_to_do_and_the_others_go_on(roles: Roles) -> None:
    roles.does |= {"camera": "sys.exit(0)", "control": "time.sleep(60)"}
    running = started("camera", "control")
    await until("both ran", lambda: roles.starts("camera") and roles.starts("control"))
    await asyncio.sleep(0.3)
    assert len(roles.starts("camera")) == 1 and not running.done()
    assert await told_to_stop(running) == 0


async def test_control_that_somebody_ended_is_started_again_though_it_ended_well(roles: Roles) -> None:
    """`kill` without a number: a gate that hears no press any more would be the price of a slip of the hand."""
    roles.does["control"] = "sys.exit(0)"
    running = started("control")
    await until("it ran again", lambda: len(roles.starts("control")) >= 2)
    assert await told_to_stop(running) == 0


async def test_what_trying_again_cannot_mend_is_not_tried_again_and_told_at_the_end(
    roles: Roles, caplog: pytest.LogCaptureFixture
) -> None:
    roles.does |= {"web": "sys.exit(2)", "control": "time.sleep(60)"}
    running = started("web", "control")
    await until("it was told", lambda: "web cannot run as things are" in caplog.text)
    await asyncio.sleep(0.3)
    assert len(roles.starts("web")) == 1 and not running.done()
    assert await told_to_stop(running) == 2


async def test_a_role_that_will_not_end_is_made_to(roles: Roles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "STOP_S", 0.3)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(sys.argv[1], 'a').write('deaf 0\\n'); "
    roles.does["control"] = deaf + "time.sleep(60)"
    running = started("control")
    await until("it is deaf", lambda: roles.starts("deaf"))
    assert await told_to_stop(running) == 0, "long before its minute is over"


async def test_a_role_that_cannot_even_be_started_is_tried_again(
    roles: Roles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    roles.does["control"] = "time.sleep(60)"
    works = supervise.command
    tries: list[str] = []

    def command(role: str, site_file: Path) -> Sequence[str]:
        tries.append(role)
        return works(role, site_file) if len(tries) > 1 else ("/no/such/program",)

    monkeypatch.setattr(supervise, "command", command)
    running = started("control")
    await until("it runs at the second try", lambda: roles.starts("control"))
    assert await told_to_stop(running) == 0
    assert "control cannot be started" in caplog.text


def test_a_role_is_started_as_the_command_line_would() -> None:
    assert supervise.command("web", Path("/x/gatebox.toml"))[1:] == (
        "-m",
        "agent",
        "web",
        "--config",
        "/x/gatebox.toml",
    )
