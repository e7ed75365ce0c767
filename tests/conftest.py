"""What the whole suite shares: the long harnesses and the rig are asked for, and every run prints its seed.

`MENWEI_TORTURE=1` runs the tests marked `torture`; `--rig` those that need a Raspberry Pi with joined pins.
`MENWEI_SEED=N` replays a run: every test that draws random numbers takes the fixture `seed`.
"""

from __future__ import annotations

import os
import secrets
import zlib

import pytest
from hypothesis import HealthCheck, settings

# Hypothesis judges by the clock how long an example takes and how fast it is drawn: on a busy machine that is luck.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

SEED = int(os.environ.get("MENWEI_SEED") or secrets.randbelow(2**31))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rig", action="store_true", help="run what needs a Raspberry Pi with joined pins")


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: MENWEI_SEED={SEED}"


def pytest_configure(config: pytest.Config) -> None:
    os.environ["MENWEI_SEED"] = str(SEED)  # the same for every worker process and child


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = {"torture": bool(os.environ.get("MENWEI_TORTURE")), "rig": bool(config.getoption("--rig"))}
    how = {"torture": "set MENWEI_TORTURE=1 (make torture)", "rig": "needs --rig and a Raspberry Pi"}
    for item in items:
        for marker, wanted in asked.items():
            if item.get_closest_marker(marker) and not wanted:
                item.add_marker(pytest.mark.skip(reason=how[marker]))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """This test's own seed, from the run's; printed, so that a failure shows it."""
    value = SEED ^ zlib.crc32(request.node.nodeid.encode())
    print(f"seed {value} (run again with MENWEI_SEED={SEED})")
    return value
