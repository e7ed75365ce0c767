"""What the service manager hears."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from agent.notify import notify, watchdog_interval_s


def test_a_message_reaches_the_service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        assert notify("READY=1")
        assert manager.recv(64) == b"READY=1"


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")


def test_a_dead_service_manager_is_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify("WATCHDOG=1")


@pytest.mark.parametrize(("text", "expected"), [("10000000", 5.0), ("", None), ("soon", None)])
def test_the_watchdog_is_fed_twice_in_its_time(
    text: str, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", text)
    assert watchdog_interval_s() == expected
