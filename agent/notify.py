"""Tell systemd how we are: readiness, a status line, and the watchdog."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> bool:
    """Send one `sd_notify` message ("READY=1", "WATCHDOG=1", "STATUS=…"). False where no service manager listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(message.encode(), address)
    except OSError:
        return False
    return True


def watchdog_interval_s() -> float | None:
    """Half the time systemd gives us (`WATCHDOG_USEC`), or None when it does not watch."""
    text = os.environ.get("WATCHDOG_USEC", "")
    return int(text) / 2e6 if text.isdecimal() else None
