"""A serial port that is none: a pty, with a link at the path where the site file expects the device.

The far end is kept open here, so that the port stays there while the agent restarts, as a real one does; closing both
ends is what pulling the plug looks like to whoever has it open.
"""

from __future__ import annotations

import contextlib
import os
import tty
from pathlib import Path


class PtyPort:
    """`link` is where the site file expects the device, or None. Open it before use; it may be opened again."""

    def __init__(self, link: Path | None) -> None:
        self.link = link
        self.linked = False
        self.name = ""
        self.master = -1
        self._slave = -1

    @property
    def path(self) -> str:
        """Where the port is found: the link if it could be made, else the pty itself."""
        return str(self.link) if self.linked else self.name

    def open(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.name = os.ttyname(self._slave)
        self.linked = self.link is not None and _make_link(self.link, self.name)

    def close(self) -> None:
        """Pull the plug: the link goes, whoever reads gets an error."""
        if self.linked and self.link is not None and _points_to(self.link, self.name):
            self.link.unlink(missing_ok=True)
        self.linked = False
        for fd in (self.master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)
        self.master = self._slave = -1

    def read(self) -> bytes:
        """What was written to the port since; empty if nothing."""
        try:
            return os.read(self.master, 4096)
        except (BlockingIOError, OSError):
            return b""

    def write(self, data: bytes) -> None:
        """Send; what nobody reads is lost once the port's buffer is full, as on a real line."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self.master, data)


def _points_to(link: Path, name: str) -> bool:
    return link.is_symlink() and str(link.readlink()) == name


def _make_link(link: Path, name: str) -> bool:
    """Whether the link could be made. A real device or file in its place is left alone, and so is /dev."""
    if link.is_relative_to("/dev") or (link.exists() and not link.is_symlink()):
        return False
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(name)
        fresh.replace(link)
    except OSError:
        return False
    return True
