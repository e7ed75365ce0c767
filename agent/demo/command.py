"""`menwei demo`: the whole gate on this machine, to play with or to play a scenario."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agent.demo import console
from agent.demo.gate import Gate
from agent.demo.processes import PATIENCE, DemoError, python
from agent.demo.scenarios import SCENARIOS, play
from agent.demo.stage import Stage
from agent.demo.timeline import Timeline

OK, WRONG, MISUSE = 0, 1, 2
KEEP_HERE = Path("demo-data")
GUARD_READER, GUARD = "guard", "0100A1B2C3"


def run(*, scenario: str | None, headless: bool, as_json: bool, folder: Path | None, broker: str | None) -> int:
    """Play `scenario`, or serve the demo until Ctrl-C. 0: the outcome was right; 1: not; 2: asked for nonsense."""
    if scenario is not None and scenario not in SCENARIOS:
        print(f"menwei demo: no scenario {scenario!r}; there are: {', '.join(SCENARIOS)}", file=sys.stderr)
        return MISUSE
    _end_with_what_it_started()
    try:
        if scenario is None:
            return _serve(Stage(folder or KEEP_HERE, broker), headless=headless)
        if folder is not None:
            return _play(scenario, Stage(folder, broker), as_json=as_json)
        with tempfile.TemporaryDirectory(prefix="menwei-demo-", ignore_cleanup_errors=True) as made:
            return _play(scenario, Stage(Path(made), broker), as_json=as_json)
    except DemoError as error:
        print(f"menwei demo: {error}", file=sys.stderr)
        if as_json:
            print(json.dumps({"scenario": scenario, "ok": False, "steps": [], "journal": ""}))
        return WRONG
    except KeyboardInterrupt:  # while the stage was being set
        return WRONG if scenario else OK


def _end_with_what_it_started() -> None:
    """To be told to end, or to lose the terminal, is what Ctrl-C is: the gate's processes are stopped first."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, PATIENCE.interrupt)


def _stop(stage: Stage) -> None:
    """Stop everything, whatever the impatience."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stage.stop()


def _play(scenario: str, stage: Stage, *, as_json: bool) -> int:
    line = Timeline(scenario, quiet=as_json)
    gate = stage.start()
    try:
        play(scenario, stage, gate, line)
    except KeyboardInterrupt:
        line.step("interrupted", ok=False)
    finally:
        _stop(stage)
    journal = stage.folder / stage.site.storage.dir / "journal.db"
    line.step("the journal verifies", _verifies(journal))
    if as_json:
        print(json.dumps(line.told(str(journal)), ensure_ascii=False))
    else:
        print(f"\n  {scenario}: {'as it should be' if line.ok else 'NOT as it should be'}\n")
    return OK if line.ok else WRONG


def _verifies(journal: Path) -> bool:
    command = python("-m", "agent", "journal", "verify", str(journal))
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


def _serve(stage: Stage, *, headless: bool) -> int:
    gate = stage.start()
    try:
        _man_the_gatehouse(gate)
        print(_welcome(gate, headless=headless), flush=True)
        return _wait(stage)
    except KeyboardInterrupt:
        print()
        return OK
    finally:
        _stop(stage)


def _man_the_gatehouse(gate: Gate) -> None:
    """A guard comes on duty with his card; else the box soon tells that the gatehouse stands empty. Where the reader is
    slow to come the visitor of the demo may do it."""
    with contextlib.suppress(DemoError):
        gate.wait("the guard's reader is there", lambda: any(_is_up(one) for one in gate.state()["readers"]))
        gate.do("swipe", reader=GUARD_READER, card=GUARD)


def _is_up(reader: dict[str, object]) -> bool:
    return reader["id"] == GUARD_READER and reader["up"] is True


def _wait(stage: Stage) -> int:
    while True:
        PATIENCE.check()
        dead = stage.died()
        if dead is not None:
            print(f"menwei demo: the {dead.name} ended; its last words:\n{dead.last_words()}", file=sys.stderr)
            return WRONG
        time.sleep(0.5)


def _welcome(gate: Gate, *, headless: bool) -> str:
    urls = {"simulator": gate.simulator, "status": gate.web, "district": gate.district, "centre": gate.centre}
    urls |= {"console": gate.console, "console_login": console.LOGIN, "console_password": gate.password}
    urls |= {"platform": gate.platform, "dir": str(gate.folder)}
    (gate.folder / "urls.json").write_text(json.dumps(urls) + "\n", "utf-8")
    if headless:
        return json.dumps(urls)
    return f"""
  门卫 Menwei is running: a gate, its hardware simulated on real wires, and a district that answers.

    the gate to play with   {gate.simulator}     press the red button
    the box's status page   {gate.web}     what the box measures and commands
    the guard console       {gate.console}     log-in {console.LOGIN}, password {gate.password}
                            (the box's own certificate: the browser warns until it is trusted)
    the district            {gate.district}     where the alarm arrives; say "coming" there
    the receiving centre    {gate.centre or "-"}     the second path, by SIA DC-09
    the police platform     {gate.platform or "-"}     beside it, by GB/T 28181

  Try: press the panic button · put a car on the loop first · swipe a card · cut a panic line · let the PLC die
  Or play a story:  menwei demo --scenario {" | ".join(SCENARIOS)}
  Everything is on loopback; only the guard console wants a log-in. Files: {gate.folder}      Stop with Ctrl-C.
"""
