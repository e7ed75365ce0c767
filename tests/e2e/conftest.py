"""One running gate for each module that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import House


@pytest.fixture(scope="module")
def gate_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def house(gate_house: House) -> Iterator[House]:
    """The module's gate, healthy and quiet; whatever a test did to it is undone."""
    yield gate_house
    said = gate_house.log_of_control()
    gate_house.mend()
    assert "Traceback" not in said, said
