"""The simulator as one of the implementations: a process of its own, started once for all contract suites."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract_rigs import Simulator

from hardware import loader
from sim.ports import free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    folder = tmp_path_factory.mktemp("contract")
    text = (ROOT / "hardware/sites/demo.toml").read_text("utf-8")
    for fixed in ("18888", "11502"):
        text = text.replace(fixed, str(free_port()))
    path = folder / "gatebox.toml"
    path.write_text(text, "utf-8")
    gate, mistakes = loader.examine(text, folder)
    assert gate is not None, mistakes
    process = subprocess.Popen(
        [sys.executable, "-m", "sim", "--site", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        yield Simulator(told["http"], gate)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


@pytest.fixture
async def sim(request: pytest.FixtureRequest) -> Simulator | None:
    """The simulator, healed, where the implementation under test needs it."""
    name = request.node.callspec.params.get("implementation")
    if name != "sim":
        return None
    simulator: Simulator = request.getfixturevalue("simulated")
    await simulator.do("heal")
    return simulator
