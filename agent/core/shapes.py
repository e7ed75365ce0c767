"""The shapes that commands may bring into records: handles, numbers, instants. Never words: a text could name
somebody.

A random handle is one letter that says what it stands for, "-", and 12 characters of Crockford's base 32 in lower
case, at least one of them a digit and one a letter: `v-7f3a0c1d2e9k`. No name, ID number, phone number or plate has
this shape, and 60 random bits are never drawn twice at one gate.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_PERSONAL = r"[0-9]{15}|[0-9]{17}[0-9Xx]|(?:86)?1[3-9][0-9]{9}"  # ID numbers of 15 and 18 places, mobile numbers
HANDLE = re.compile(rf"(?!(?:{_PERSONAL})\Z)[A-Za-z0-9][A-Za-z0-9_.:-]{{0,63}}")  # a slip, a holder, a card, a visit
MOMENT = re.compile(r"[12][0-9]{12}", re.ASCII)  # UTC milliseconds of the years 2001 to 2065; no phone, no ID number
NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)
CARD = re.compile(r"[a-z0-9-]{1,16}:[0-9A-F]{10}", re.ASCII)  # "<format>:<hex>", as every reader here tells it

LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u, which are misread on paper
DRAWN = 12  # characters of a handle that are drawn, 5 bits each
RANDOM_HANDLE = re.compile(rf"([a-z])-(?=.*[0-9])(?=.*[a-z])[{LETTERS}]{{{DRAWN}}}", re.ASCII)


def is_code(text: str) -> bool:
    """Whether `text` may stand in a record: by its shape, and no ID or phone number. A name in Latin letters or a plate
    without its first character cannot be told from a code."""
    return HANDLE.fullmatch(text) is not None


def is_handle(text: str, prefix: str = "") -> bool:
    """Whether `text` is a random handle, of the kind that `prefix` names ("" = of any kind)."""
    found = RANDOM_HANDLE.fullmatch(text)
    return found is not None and prefix in ("", found[1])


def make_handle(prefix: str, draw: Callable[[int], int]) -> str:
    """A new handle. `prefix` is one letter a-z; `draw(n)` gives n random bits as a number."""
    assert re.fullmatch("[a-z]", prefix), f"{prefix!r} is no kind of handle"
    while True:
        bits = draw(5 * DRAWN)
        text = prefix + "-" + "".join(LETTERS[bits >> 5 * place & 31] for place in range(DRAWN))
        if is_handle(text, prefix):  # about one in a hundred has no digit or no letter and is drawn again
            return text
