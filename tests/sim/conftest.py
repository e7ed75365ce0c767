"""Fixtures of the simulator's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sim_gates import Gate, demo_text, gate_of, site_from

from hardware.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_from(demo_text(), tmp_path)


@pytest.fixture
def gate(site: Site) -> Gate:
    return gate_of(site)


@pytest.fixture
def gate_from(tmp_path: Path) -> Callable[[str], Gate]:
    """A gate from the text of a site file."""
    return lambda text: gate_of(site_from(text, tmp_path))
