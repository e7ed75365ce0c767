"""What an office writes in a cell, as the policy wants it: dates, times, lists, yes and no, card numbers."""

from __future__ import annotations

import re
from datetime import date, datetime
from zoneinfo import ZoneInfo

DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
TIME = re.compile(r"(\d{1,2})[:：](\d{2})(?::00)?")
SPLIT = re.compile(r"[;；、|\s]+")
CARD = re.compile(r"[0-9A-Fa-f]{10}")
SPOILED = re.compile(r"\d(\.\d+)?E\+?\d+", re.IGNORECASE)
YES = frozenset({"1", "yes", "y", "true", "是", "√", "x"})
NO = frozenset({"", "0", "no", "n", "false", "否"})
LEAVE = {
    "": "", "病假": "illness", "生病": "illness", "illness": "illness", "事假": "private", "private": "private",
    "其他": "other", "other": "other",
}  # fmt: skip
WEEKDAYS = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6}


class BadValue(ValueError):
    """`args` are what is wrong and what would be right."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what, cure)


def day(text: str) -> date:
    """2026-09-01, 2026/9/1 or 2026年9月1日."""
    match = DATE.fullmatch(text)
    try:
        if match is not None:
            return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        pass
    raise BadValue(f"“{text}” is no date", "write it as 2026-09-01")


def minute(text: str) -> int:
    """Minute of the day of 7:30; 24:00 is the end of the day."""
    match = TIME.fullmatch(text)
    if match is None or int(match[2]) > 59 or int(match[1]) * 60 + int(match[2]) > 1440:
        raise BadValue(f"“{text}” is no time of day", "write it as 07:30")
    return int(match[1]) * 60 + int(match[2])


def names(text: str) -> tuple[str, ...]:
    """A list in one cell, apart by semicolons, 、 or spaces."""
    return tuple(part for part in SPLIT.split(text) if part)


def is_yes(text: str) -> bool:
    if text.casefold() in YES:
        return True
    if text.casefold() in NO:
        return False
    raise BadValue(f"“{text}” is neither yes nor no", "write 是 or 否")


def leave_reason(text: str) -> str:
    """Why a pupil leaves, as a word of the policy."""
    if text.casefold() not in LEAVE:
        raise BadValue(f"“{text}” is no reason for leave", "write 病假, 事假 or 其他: other words could name somebody")
    return LEAVE[text.casefold()]


def weekdays(text: str) -> tuple[int, ...]:
    """1-5, 周一至周五, 1;3;5 or 一二三; Monday is 1 as people count, 0 as the policy does. Empty: every day."""
    if not text:
        return (0, 1, 2, 3, 4, 5, 6)
    plain = re.sub("周|星期|礼拜", "", re.sub("[至到~–—]", "-", text))
    plain = "".join(str(WEEKDAYS[char] + 1) if char in WEEKDAYS else char for char in plain)
    match = re.fullmatch(r"([1-7])-([1-7])", plain)
    if match and match[1] <= match[2]:
        return tuple(range(int(match[1]) - 1, int(match[2])))
    digits = [ord(char) - ord("1") for char in plain if char not in ";；、, "]
    if not digits or not all(0 <= one <= 6 for one in digits):
        raise BadValue(f"“{text}” is no list of weekdays", "write 1-5, or 1;3;5 with Monday as 1")
    return tuple(sorted(set(digits)))


def card(text: str, card_format: str) -> str:
    """A card number as the reader tells it, with its format."""
    if SPOILED.fullmatch(text) and not CARD.fullmatch(text):  # 9E07183440 is a card; a spreadsheet writes 9.07E+11
        raise BadValue(f"“{text}” was a card number before a spreadsheet rounded it", "format the column as text")
    if not CARD.fullmatch(text):
        what = f"“{text}” is no card number of this reader"
        cure = "write its ten hex digits, zeros in front included; format the column as text"
        raise BadValue(what, cure)
    return f"{card_format}:{text.upper()}"


def midnight_ms(when: date, zone: ZoneInfo) -> int:
    """UTC ms of the start of a local day."""
    return round(datetime(when.year, when.month, when.day, tzinfo=zone).timestamp() * 1000)
