"""Registration against a scripted platform: what it may answer, and what we make of it; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import virtual_time
from gb28181_rig import PASSWORD, Rig, rig_at, until

from agent.uplink.gb28181 import digest
from agent.uplink.gb28181.path import RENEW_AT
from agent.uplink.gb28181.session import _date
from agent.uplink.gb28181.sip import Headers, Request, answer_to, decode, encode
from sim.gb28181.platform import DEVICE

CHINA = timezone(timedelta(hours=8))
CHALLENGE = 'Digest realm="3402000000", nonce="n1", algorithm=MD5'
Script = Callable[[Request, int], tuple[int, Headers]]


def scripted(rig: Rig, script: Script) -> list[Request]:
    """A platform that answers as the script says; returns the requests as they come. The script gets their number."""
    heard: list[Request] = []

    def hear(data: bytes, peer: object) -> None:
        request = decode(data)
        assert isinstance(request, Request)
        heard.append(request)
        status, more = script(request, len(heard))
        rig.platform.send(encode(answer_to(request, status, "So", "t", more)), peer)

    rig.platform.heard = hear  # type: ignore[method-assign]
    return heard


def outcome(tmp_path: Path, script: Script) -> tuple[bool, str, list[Request]]:
    """(up, why not, what the platform had heard by then)."""

    async def scene() -> tuple[bool, str, list[Request]]:
        async with rig_at(tmp_path) as rig:
            heard = scripted(rig, script)
            rig.path()
            await until(lambda: bool(rig.told.ups), 60)
            return (*rig.told.ups[0], list(heard))

    return virtual_time.run(scene())


@pytest.mark.parametrize(
    ("status", "header"), [(401, ("WWW-Authenticate", CHALLENGE)), (407, ("Proxy-Authenticate", CHALLENGE))]
)
def test_a_challenge_is_answered_with_the_next_number_in_the_same_call(
    tmp_path: Path, status: int, header: tuple[str, str]
) -> None:
    up, _, heard = outcome(tmp_path, lambda _, number: (status, (header,)) if number == 1 else (200, ()))
    assert up
    first, second = heard[:2]
    assert (first.cseq[0] + 1, first.get("call-id")) == (second.cseq[0], second.get("call-id"))
    assert first.get("authorization") == ""
    asked = digest.Challenge("3402000000", "n1")
    expected = digest.response(asked, digest.Login(DEVICE, PASSWORD), "REGISTER", second.uri, 1, "")
    assert f'response="{expected}"' in second.get("authorization")
    assert f"<sip:{DEVICE}@127.0.0.1:40000>" in second.get("contact")


def test_a_stale_nonce_is_answered_anew_and_a_third_is_too_many(tmp_path: Path) -> None:
    def script(request: Request, number: int) -> tuple[int, Headers]:
        nonce = CHALLENGE.replace("n1", f"n{number}") + ", stale=true"
        return (401, (("WWW-Authenticate", nonce),)) if number < stale_until else (200, ())

    stale_until = 3
    assert outcome(tmp_path, script)[0]
    stale_until = 4
    up, why, heard = outcome(tmp_path, script)
    assert not up
    assert "check device_id, user and password" in why
    assert 'nonce="n2"' in heard[2].get("authorization")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((403, ()), "403 So"),
        ((404, ()), "does not register 34020000001170000001: 404 So"),
        ((500, ()), "500 So"),
        ((302, (("Contact", "<sip:a@b>"),)), "302 So"),
        ((401, ()), "cannot be answered: no challenge"),
        ((401, (("WWW-Authenticate", 'Basic realm="r"'),)), "log-in by 'Basic'"),
        ((401, (("WWW-Authenticate", CHALLENGE.replace("MD5", "SM3")),)), "unknown digest algorithm 'SM3'"),
    ],
)
def test_what_a_platform_refuses_is_told_in_its_words(tmp_path: Path, answer: tuple[int, Headers], says: str) -> None:
    up, why, _ = outcome(tmp_path, lambda request, number: answer)
    assert not up
    assert says in why


@pytest.mark.parametrize(
    ("more", "granted_s"),
    [
        ((("Expires", "1000"),), 1000),
        ((("Contact", "<sip:a@b>;expires=500"), ("Expires", "1000")), 500),
        ((), 7200),
        ((("Expires", "1"),), 60),  # a platform that grants less would be asked without end
        ((("Expires", "999999"),), 7200),
        ((("Expires", "soon"),), 7200),
    ],
)
def test_a_registration_lasts_as_long_as_was_granted(tmp_path: Path, more: Headers, granted_s: float) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            heard = scripted(rig, lambda request, number: (200, more if request.method == "REGISTER" else ()))
            rig.path(expires_s=7200)
            await asyncio.sleep(granted_s * RENEW_AT - 1)
            assert [request.method for request in heard].count("REGISTER") == 1
            await asyncio.sleep(2)
            assert [request.method for request in heard].count("REGISTER") == 2
            assert {request.get("expires") for request in heard if request.method == "REGISTER"} == {"7200"}

    virtual_time.run(scene())


def test_a_renewal_that_is_refused_ends_the_path_and_it_begins_again(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            registers = 0

            def script(request: Request, number: int) -> tuple[int, Headers]:
                nonlocal registers
                registers += request.method == "REGISTER"
                return (403 if request.method == "REGISTER" and registers == 2 else 200), (("Expires", "120"),)

            scripted(rig, script)
            rig.path()
            await until(lambda: rig.told.up)
            await until(lambda: not rig.told.up, 120)
            await until(lambda: rig.told.up, 60)
            assert registers == 3

    virtual_time.run(scene())


def test_dates_of_both_standards_are_read() -> None:
    expected = datetime(2026, 11, 27, 8, 5, 9, tzinfo=UTC)
    assert _date("2026-11-27T16:05:09.000", CHINA) == expected
    assert _date("2026-11-27T16:05:09", CHINA) == expected
    assert _date("2026-11-27T16:05:09+08:00", UTC) == expected
    assert _date("Fri, 27 Nov 2026 08:05:09 GMT", CHINA) == expected
    assert _date("", CHINA) is None
    assert _date("yesterday", CHINA) is None
