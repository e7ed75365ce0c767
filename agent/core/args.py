"""What of a command's arguments may stand in a record: one check for each argument of each verb about people.

A value that does not pass never becomes a record, whether its command was carried out or refused: somebody who types
a name, an ID number, a phone number or a plate where a code belongs has not written it into a journal that only grows
(domain rule 30). A holder passes when the school's policy or the site file knows it: those are pseudonyms already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from agent.core import people
from agent.core.shapes import CARD, MOMENT, NUMBER, is_handle
from agent.core.state import BoxState

Check: TypeAlias = Callable[[BoxState, str], bool]


def handle(prefix: str) -> Check:
    """A random handle of one kind."""
    return lambda state, text: is_handle(text, prefix)


def one_of(codes: Collection[str]) -> Check:
    return lambda state, text: text in codes


def person(state: BoxState, text: str) -> bool:
    """Somebody the policy or the site file knows, or a random handle of the register."""
    return is_handle(text) or people.is_holder(state, text)


def slip(state: BoxState, text: str) -> bool:
    """A leave slip: a random handle, or the number of one that the policy names."""
    return is_handle(text, "s") or (state.policy is not None and text in state.policy.slips)


def card(state: BoxState, text: str) -> bool:
    return CARD.fullmatch(text) is not None


def number(state: BoxState, text: str) -> bool:
    """Up to four digits."""
    return NUMBER.fullmatch(text) is not None


def signed(state: BoxState, text: str) -> bool:
    """A number that may go either way."""
    return number(state, text[1:] if text[:1] in ("-", "+") else text)


def moment(state: BoxState, text: str) -> bool:
    """UTC milliseconds."""
    return MOMENT.fullmatch(text) is not None


def door(state: BoxState, text: str) -> bool:
    return text in state.doors


def lane(state: BoxState, text: str) -> bool:
    return text in state.lanes


def post(state: BoxState, text: str) -> bool:
    return state.policy is not None and text in state.policy.posts


def plan(state: BoxState, text: str) -> bool:
    return state.policy is not None and text in state.policy.plans
