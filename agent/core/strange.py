"""What a stranger may send where JSON is expected."""

from __future__ import annotations

import msgspec

# All that msgspec raises for bytes that are not the JSON wanted. What is nested a thousand deep ends in a
# RecursionError, which is none of msgspec's own: one such message must not go past whoever expects bad ones.
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
