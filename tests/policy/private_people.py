"""Invented people with everything that may not be told of them, and a search for it."""

from __future__ import annotations

import json
import random

SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨"
GIVEN = "子涵浩宇欣怡梓轩雨桐思远嘉懿俊熙"
PROVINCES = "京沪粤苏浙川"
HEX = "0123456789ABCDEF"


class Person:
    """One person: what may be known (`holder`, `card`) and what may not (`private`)."""

    def __init__(self, dice: random.Random, number: int) -> None:
        self.holder = f"p{number:03d}"
        self.card = f"{dice.randrange(1 << 40):010X}"
        self.name = dice.choice(SURNAMES) + "".join(dice.choices(GIVEN, k=dice.choice((1, 2, 3))))
        self.ident = f"{dice.randrange(110000, 660000)}{dice.randrange(1950, 2020)}{dice.randrange(10**8):08d}"
        self.ident = self.ident[:17] + dice.choice("0123456789X")
        self.phone = f"1{dice.choice('3456789')}{dice.randrange(10**9):09d}"
        self.plate = dice.choice(PROVINCES) + dice.choice("ABCDEF") + "".join(dice.choices(HEX, k=5))
        self.private = (self.name, self.ident, self.phone, self.plate)


def people(dice: random.Random, count: int = 30) -> list[Person]:
    return [Person(dice, number) for number in range(count)]


def leaks(where: str, data: bytes, known: list[Person]) -> list[str]:
    """The private words in `data`, as they are or as JSON may escape them."""
    words = [word for one in known for word in one.private]
    spellings = {word: (word.encode(), json.dumps(word)[1:-1].encode()) for word in words}
    return [f"{word} in {where}" for word, spelt in spellings.items() if any(text in data for text in spelt)]
