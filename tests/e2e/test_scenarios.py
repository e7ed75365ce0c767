"""Every story of the demo, as a user plays it: the real processes over the real wires, judged by the exit code."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agent import cli
from agent.demo.campus_stories import until_new_day_s
from agent.demo.scenarios import SCENARIOS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def play(scenario: str, folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "agent", "demo", "--headless", "--scenario", scenario, "--json", *more]
    done = subprocess.run([*command, "--dir", str(folder)], capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, told


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_story_ends_as_it_should(scenario: str, tmp_path: Path) -> None:
    code, told = play(scenario, tmp_path)
    assert [step for step in told["steps"] if not step["ok"]] == []
    assert (code, told["ok"], told["scenario"]) == (0, True, scenario)
    assert Path(told["journal"]).is_file()
    assert (tmp_path / "gatebox.toml").is_file()


@pytest.mark.parametrize(
    ("clock", "pause_s"), [("2026-12-31T23:59:30", 32.0), ("2026-12-31T23:58:29", 0.0), ("2027-01-01T00:00:00", 0.0)]
)
def test_a_story_that_a_swapped_plan_would_not_outlast_waits_for_the_new_day(clock: str, pause_s: float) -> None:
    now = datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo("Asia/Shanghai"))
    assert until_new_day_s(now) == pause_s


def test_the_embedded_broker_serves_as_well(tmp_path: Path) -> None:
    code, told = play("panic", tmp_path, "--broker", "iotcore")
    assert (code, told["ok"]) == (0, True)


def test_every_record_of_a_story_has_a_cause_before_it(tmp_path: Path) -> None:
    code, told = play("panic", tmp_path)
    assert code == 0
    with sqlite3.connect(told["journal"]) as connection:
        bodies = [json.loads(row[0]) for row in connection.execute("SELECT body FROM record ORDER BY seq")]
    refs = {(body["epoch"], body["seq"]) for body in bodies}
    causes = [(tuple(body["cause"]), (body["epoch"], body["seq"])) for body in bodies if body["cause"]]
    assert causes
    assert all(cause in refs and cause < ref for cause, ref in causes)
    kinds = [body["kind"] for body in bodies]
    assert kinds.index("panic.pressed") < kinds.index("lane.efo") < kinds.index("panic.reset")


def test_an_unknown_story_is_misuse(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent", "demo", "--scenario", "flood", "--dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "panic-offline" in done.stderr and "Traceback" not in done.stderr


def test_a_month_is_told_of_what_the_real_box_wrote(tmp_path: Path) -> None:
    """A press with its receipts, from real processes; and the report says what the journal says."""
    code, _ = play("panic", tmp_path)
    assert code == 0
    site = ["--config", str(tmp_path / "gatebox.toml")]
    month = datetime.now(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m")
    made = [
        "report",
        "--month",
        month,
        "--out",
        str(tmp_path / "report"),
        "--lang",
        "en",
        "--format",
        "html,csv",
        *site,
    ]
    assert cli.main(made) == 0
    stem = f"menwei-report-dongfang-primary-{month}-en"
    receipts = (tmp_path / "report" / f"{stem}-receipts.csv").read_text("utf-8-sig")
    assert "received" in receipts and "MQTT" in receipts
    assert "REAL" in (tmp_path / "report" / f"{stem}-presses.csv").read_text("utf-8-sig")
    assert ",good," in (tmp_path / "report" / f"{stem}-checkpoints.csv").read_text("utf-8-sig")
    assert cli.main(["report", "verify", str(tmp_path / "report" / f"{stem}.html"), *site]) == 0
