"""Why a serial port cannot be used, in words that help at a cabinet."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def serial_trouble(path: str, error: Exception, settings: str) -> str:
    """`settings` as printed on a data sheet, e.g. "9600 baud, 8N1"."""
    if not Path(path).exists():
        return f"no serial port {path}: is the adapter plugged in?"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"no permission for serial port {path}: put this user into the group that owns it (dialout)"
    if error.args[:1] == (errno.EINVAL,):
        return f"serial port {path} cannot do {settings}"
    return f"serial port {path} cannot be used: busy with another program, or not a serial port ({error})"
