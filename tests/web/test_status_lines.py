"""`menwei status` on a terminal: the school's part."""

from __future__ import annotations

from pathlib import Path

import msgspec
import web_scenes as scenes
from msgspec.structs import replace

from agent import status
from agent.picture import Book, Picture, Post

SITE = scenes.demo_site(Path("/nowhere"))


def told(picture: Picture) -> list[str]:
    return list(status.lines({"state": msgspec.to_builtins(picture)}))


def test_the_school_is_told_in_a_few_lines() -> None:
    lines = told(scenes.normal(SITE))
    assert "school    policy 7; 2026-11-23 平日; now 放学 <1> 16:00-17:10" in lines
    assert "patrols   4 of 5 today" in lines and "panic     tested 12 days ago" in lines
    assert "post house        manned" in lines
    assert "visits    0 open, 0 too long, 0 cards missing; hazards 0 open, 0 overdue" in lines


def test_an_empty_post_and_a_silent_one_stand_out() -> None:
    picture = scenes.normal(SITE)
    assert picture.campus is not None
    posts = (
        Post(id="house", needed=True, alarm_ref=(1, 5)),
        Post(id="kerb", needed=True, manned=True, unanswered=True),
        Post(id="back", needed=True),
        Post(id="side"),
    )
    campus = replace(picture.campus, posts=posts, today=None, book=Book(visits=2, overstays=1))
    lines = told(replace(picture, campus=campus))
    assert "post house        NOT MANNED" in lines and "post kerb         manned, NO SIGN OF LIFE" in lines
    assert "post back         empty" in lines and "post side         need not be manned now" in lines
    assert "school    policy 7; the plan of the day is not known" in lines
    assert any(line.startswith("visits    2 open, 1 too long") for line in lines)


def test_without_a_policy_nothing_is_said_of_the_school() -> None:
    assert not [line for line in told(replace(scenes.normal(SITE), campus=None)) if line.startswith(("school", "post"))]
