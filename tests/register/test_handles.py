"""Handles: what is one, what never is, and how they are made."""

from __future__ import annotations

import random

import pytest

from agent.core.shapes import is_handle, make_handle
from agent.register import handles

SECRETS = (
    *("110101199003074512", "11010119900307451X", "13800138000", "+8613800138000", "010-62781234"),
    *("A12345", "京A12345", "JingA12345", "ZhangSan", "zhangsan", "张三", "staff-t", "mr-wang", "v-wang"),
    *("v-zhangsanfeng", "v-138001380001", "v-1380013800", "g-110101199003074512"),
)


@pytest.mark.parametrize("text", SECRETS)
def test_nothing_that_tells_who_somebody_is_has_the_shape(text: str) -> None:
    assert not is_handle(text)


@pytest.mark.parametrize("text", ["", "v-", "v-7F3A0C1D2E9K", "v-7f3a0c1d2e9", "v-7f3a0c1d2e9k\n", "vv-7f3a0c1d2e9k"])
def test_what_is_nearly_a_handle_is_none(text: str) -> None:
    assert not is_handle(text)


@pytest.mark.parametrize("letter", "ilou")
def test_letters_misread_on_paper_are_in_no_handle(letter: str) -> None:
    assert not is_handle(f"v-7f3a0c1d2e9{letter}")


def test_a_handle_is_of_its_kind() -> None:
    assert is_handle("v-7f3a0c1d2e9k") and is_handle("v-7f3a0c1d2e9k", "v")
    assert not is_handle("v-7f3a0c1d2e9k", "h")


def test_new_handles_have_the_shape_and_differ() -> None:
    made = {handles.new("n") for _ in range(2000)}
    assert len(made) == 2000 and all(is_handle(one, "n") for one in made)


def test_a_draw_without_a_digit_or_without_a_letter_is_drawn_again() -> None:
    only_digits, only_letters, both = 0, (1 << 60) - 1, 10 << 5
    draws = iter((only_digits, only_letters, both))
    assert make_handle("v", lambda bits: next(draws)) == "v-0a0000000000"
    assert not list(draws)


def test_handles_made_from_a_seed_are_the_same_again() -> None:
    first, second = (make_handle("h", random.Random(7).getrandbits) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("prefix", ["", "vv", "V", "1", "门"])
def test_a_prefix_is_one_letter(prefix: str) -> None:
    with pytest.raises(AssertionError, match="kind of handle"):
        handles.new(prefix)
