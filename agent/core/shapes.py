"""The shapes that commands may bring into records: handles, numbers, instants. Never words: a text could name
somebody."""

from __future__ import annotations

import re

HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")  # a slip, a holder, a card, a visit
MOMENT = re.compile(r"[0-9]{1,15}")  # UTC milliseconds
NUMBER = re.compile(r"[0-9]{1,4}")
