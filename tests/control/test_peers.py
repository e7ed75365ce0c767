"""Who may speak over the local socket: users by name."""

from __future__ import annotations

import os
import pwd

import pytest

from agent.control.peers import allowed_uids


def test_users_are_named_apart_by_spaces() -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    assert allowed_uids(f"  {me}   root ") == {os.getuid(), 0}
    assert allowed_uids("") == frozenset()


def test_a_user_this_machine_does_not_have_is_told_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert allowed_uids("no-such-user-here root") == {0}
    assert "no-such-user-here" in caplog.text
