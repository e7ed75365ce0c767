"""What starts must start light: a command loads what it needs and no more. Counted in modules, never in seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("asyncio", "pymodbus", "starlette", "uvicorn", "paho", "gpiozero", "cryptography", "redis", "sqlite_utils")
DEVELOPMENT = ("pytest", "hypothesis", "playwright", "httpx", "fakeredis", "mypy", "iotcore", "jsonschema")


def loaded(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_checking_a_site_file_loads_no_role() -> None:
    assert not loaded("import agent.cli, hardware.loader, hardware.check") & set(HEAVY) - {"asyncio"}


@pytest.mark.parametrize("role", ["control", "uplink", "web", "camera"])
def test_a_role_loads_nothing_of_the_developers(role: str) -> None:
    assert not loaded(f"import agent.{role}.role") & set(DEVELOPMENT)


def test_the_uplink_reads_sip_only_where_a_site_speaks_it() -> None:
    assert loaded("import agent.uplink.role\nassert not [name for name in sys.modules if 'gb28181' in name]")


@pytest.mark.parametrize(
    ("role", "never"),
    [
        ("control", {"starlette", "uvicorn", "paho", "jinja2"}),
        ("uplink", {"pymodbus", "gpiozero", "serial", "starlette", "redis"}),
        ("web", {"pymodbus", "gpiozero", "serial", "paho", "cryptography"}),
    ],
)
def test_a_role_does_not_hold_what_is_anothers(role: str, never: set[str]) -> None:
    assert not loaded(f"import agent.{role}.role") & never
