"""Readers and cards: a reader stands somewhere, a card can be read, a holder is a pseudonym."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from hardware import profiles
from hardware.checks.look import Check, Look
from hardware.checks.names import is_plain
from hardware.mistakes import Finding, found
from hardware.site import CommandKey, Credential
from hardware.terminals import Path

_CARD = re.compile(r"[0-9A-F]{10}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def readers_stand_somewhere(look: Look) -> Iterator[Finding]:
    for i, reader in enumerate(look.site.reader):
        placed = bool(reader.door) + bool(reader.lane)
        if not look.sound("reader", i):
            continue
        if reader.direction == "presence" and placed:
            yield found(("reader", i, "door" if reader.door else "lane"), "reader_presence_placed")
        elif reader.direction != "presence" and placed == 0:
            yield found(("reader", i), "reader_nowhere")
        elif placed == 2:
            yield found(("reader", i, "lane"), "reader_twice_placed")


def readers_have_a_device(look: Look) -> Iterator[Finding]:
    for i, reader in enumerate(look.site.reader):
        if not reader.device:
            yield found(("reader", i, "device"), "reader_needs_device")


def cards_are_numbers(look: Look) -> Iterator[Finding]:
    for i, credential in enumerate(look.site.credential):
        if not _CARD.fullmatch(credential.card):
            yield found(("credential", i, "card"), "card_not_hex", card=credential.card)


def cards_are_unique(look: Look) -> Iterator[Finding]:
    holders: dict[tuple[str, str], str] = {}
    for i, credential in enumerate(look.site.credential):
        card = (credential.format, credential.card.upper())
        if card in holders:
            yield found(("credential", i, "card"), "card_twice", card=credential.card, holder=holders[card])
        holders.setdefault(card, credential.holder)


def card_formats_are_known(look: Look) -> Iterator[Finding]:
    formats = sorted({profiles.reader(name).format for name in profiles.names("readers")})
    for i, credential in enumerate(look.site.credential):
        if credential.format not in formats:
            there = ", ".join(formats)
            yield found(("credential", i, "format"), "format_unknown", name=credential.format, known=there)


def holders_are_pseudonyms(look: Look) -> Iterator[Finding]:
    """PIPL 28-31 (V): names of minors stay off the box."""
    for i, credential in enumerate(look.site.credential):
        if not is_plain(credential.holder):
            yield found(("credential", i, "holder"), "holder_not_pseudonym", holder=credential.holder)


def _limited(look: Look) -> Iterator[tuple[Path, Credential | CommandKey]]:
    """Everything that is valid from a day to a day."""
    yield from ((("credential", i), one) for i, one in enumerate(look.site.credential))
    yield from ((("uplink", "command_key", i), one) for i, one in enumerate(look.site.uplink.command_key))


def dates_are_dates(look: Look) -> Iterator[Finding]:
    for path, one in _limited(look):
        for key in ("valid_from", "valid_to"):
            text: str = getattr(one, key)
            if text and not day(text):
                yield found((*path, key), "date_bad", text=text)


def validity_runs_forward(look: Look) -> Iterator[Finding]:
    for path, one in _limited(look):
        start, end = day(one.valid_from), day(one.valid_to)
        if start and end and end < start:
            yield found((*path, "valid_to"), "date_backwards", start=start, end=end)


def day(text: str) -> datetime.date | None:
    """The day of YYYY-MM-DD; None for anything else."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


CHECKS: tuple[Check, ...] = (
    readers_stand_somewhere,
    readers_have_a_device,
    cards_are_numbers,
    cards_are_unique,
    card_formats_are_known,
    holders_are_pseudonyms,
    dates_are_dates,
    validity_runs_forward,
)
