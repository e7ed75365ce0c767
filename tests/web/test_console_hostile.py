"""Requests meant ill at the console: foreign pages, stolen forms, fixed sessions, long and slow bodies, odd paths."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from console_rig import BASE, PASSWORD, Desked

from agent.web.console import front
from agent.web.console.accounts import Accounts, Role
from agent.web.console.sessions import COOKIE


@pytest.fixture
async def desk(tmp_path: Path) -> Desked:
    made = Desked(tmp_path)
    assert (await made.log_in()).status_code == 303
    made.link.asked.clear()
    return made


def commands(desk: Desked) -> list[str]:
    return [ask["verb"] for ask in desk.link.asked if ask["op"] == "command"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "https://127.0.0.1.evil.example"},
        {"origin": "http://127.0.0.1:8443"},
        {"origin": BASE, "sec-fetch-site": "cross-site"},
        {"origin": BASE, "sec-fetch-site": "none"},
        {"referer": "https://evil.example/guard"},
    ],
)
async def test_a_form_of_a_foreign_page_does_nothing(desk: Desked, headers: dict[str, str]) -> None:
    fields = {"csrf": desk.csrf, "verb": "lockdown"}
    answer = await desk.browser.post("/guard/do", data=fields, headers=headers)
    assert answer.status_code == 403 and commands(desk) == []


async def test_a_form_without_the_pages_own_word_does_nothing(desk: Desked) -> None:
    for csrf in ("", "x", desk.csrf[:-1], desk.csrf + "x"):
        answer = await desk.post("/guard/do", {"csrf": csrf, "verb": "lockdown"})
        assert answer.status_code == 303 and "out of date" in await desk.flash()
    assert commands(desk) == []


async def test_nobody_asks_without_a_log_in(desk: Desked) -> None:
    stranger = desk.client()
    for path in ("/guard", "/guard/muster", "/guard/accounts"):
        answer = await stranger.get(path)
        assert answer.status_code == 303 and answer.text == ""
    assert (await stranger.get("/guard/stream")).status_code == 403
    answer = await desk.post("/guard/do", {"csrf": desk.csrf, "verb": "lockdown"}, stranger)
    assert answer.headers["location"] == "/guard/login" and commands(desk) == []


async def test_a_session_brought_along_is_never_the_one_that_logs_in(tmp_path: Path) -> None:
    """Fixation: the token after a log-in is new, whatever cookie came with it."""
    desk = Desked(tmp_path)
    desk.browser.cookies.set(COOKIE, "chosen-by-somebody-else")
    answer = await desk.log_in()
    told = answer.headers["set-cookie"]
    assert "chosen-by-somebody-else" not in told
    for flag in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
        assert flag in told, told
    assert "Domain" not in told


async def test_the_cookie_of_a_session_that_was_logged_out_opens_nothing(desk: Desked) -> None:
    token = desk.browser.cookies[COOKIE]
    await desk.post("/guard/logout", {"csrf": desk.csrf})
    stolen = desk.client(cookies={COOKIE: token})
    assert (await stolen.get("/guard")).status_code == 303


@pytest.mark.parametrize("how", ["removed", "passwd"])
async def test_what_the_shell_does_to_an_account_ends_its_open_page_too(tmp_path: Path, how: str) -> None:
    """`menwei account` is another process: the session is not told, and must look."""
    desk = Desked(tmp_path)
    await desk.log_in()
    accounts = Accounts(desk.folder)
    if how == "removed":
        accounts.add("other", PASSWORD, Role.HEAD, 1)
        accounts.remove(desk.account.handle)
    else:
        accounts.change_password(desk.account.handle, "another pass phrase")
    assert (await desk.browser.get("/guard/stream")).status_code == 403
    assert (await desk.browser.get("/guard")).headers["location"] == "/guard/login?ended=page"
    answer = await desk.post("/guard/do", {"csrf": "x", "verb": "lockdown"})
    assert answer.headers["location"] == "/guard/login?ended=form" and commands(desk) == []
    page = (await desk.browser.get("/guard/login?ended=form&lang=en")).text
    assert "What was just sent was not done;" in page
    assert len(desk.console.sessions) == 0


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "0.0.0.0", ""])
async def test_a_foreign_name_is_refused(desk: Desked, host: str) -> None:
    assert (await desk.browser.get("/guard", headers={"host": host})).status_code in (400, 421)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_other_methods_are_refused(desk: Desked, method: str) -> None:
    answer = await desk.browser.request(method, "/guard/do")
    assert answer.status_code == 405 and answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", ["/guard/../etc/passwd", "//evil.example/", "/guard/%2e%2e/x", "/static/..%2fapp.py"])
async def test_odd_paths_are_refused(desk: Desked, path: str) -> None:
    assert (await raw(desk, "GET", path.encode()))[0] in (400, 404)


async def test_an_absolute_form_address_is_refused(desk: Desked) -> None:
    assert (await raw(desk, "GET", b"https://127.0.0.1/guard"))[0] == 400


async def test_a_body_that_is_too_long_or_no_form_is_refused(desk: Desked) -> None:
    headers = {"origin": BASE}
    long = await desk.browser.post("/guard/do", content=b"x" * (front.MAX_BODY + 1), headers=headers | form_type())
    assert long.status_code == 413
    other = await desk.browser.post("/guard/do", json={"verb": "lockdown"}, headers=headers)
    assert other.status_code == 415
    assert commands(desk) == []


async def test_a_body_longer_than_told_or_without_a_length_is_refused(desk: Desked) -> None:
    told = {"content-type": front.FORM.decode(), "origin": BASE, "content-length": "10"}
    chunks = [b"x" * 9000, b"x" * 9000]
    assert (await raw(desk, "POST", b"/guard/do", told, chunks))[0] == 413
    del told["content-length"]
    assert (await raw(desk, "POST", b"/guard/do", told, chunks))[0] == 411
    assert (await raw(desk, "POST", b"/guard/do", told | {"transfer-encoding": "chunked"}, chunks))[0] == 411


async def test_a_slow_body_is_cut_off(desk: Desked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_S", 0.02)
    told = {"content-type": front.FORM.decode(), "origin": BASE, "content-length": "100"}
    assert (await raw(desk, "POST", b"/guard/do", told, [b"verb=lock", None]))[0] == 408
    assert commands(desk) == []


async def test_every_answer_forbids_framing_sniffing_and_foreign_scripts(desk: Desked) -> None:
    for path in ("/guard", "/guard/login", "/nothing", "/static/console.js"):
        headers = (await desk.browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy and "unsafe-inline" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["strict-transport-security"]
        assert "access-control-allow-origin" not in headers
    page = await desk.page()
    assert "<script>" not in page and "javascript:" not in page and " onclick" not in page and " style=" not in page


async def test_a_visitors_name_cannot_become_markup(desk: Desked) -> None:
    evil = "<img src=x onerror=alert(1)>"
    await desk.do("visit_register", name=evil, host="staff-1", kind="visitor", purpose="meeting", minutes="30",
                  place="door:wicket")  # fmt: skip
    page = await desk.page()
    assert "&lt;img src=x" in page and evil not in page


async def test_what_a_role_may_not_do_is_refused_and_written_down(tmp_path: Path) -> None:
    desk = Desked(tmp_path, Role.MAINTENANCE)
    await desk.log_in()
    assert "may not do that" in await desk.do("lockdown")
    assert not desk.link.state.panic.lockdown
    (refused,) = [record for record in desk.link.records if record.kind == "command.refused"]
    assert refused.data["verb"] == "lockdown" and refused.data["why"] == "role"
    assert (await desk.browser.get("/guard/muster")).status_code == 303
    assert (await desk.browser.get("/guard/accounts")).status_code == 303


async def test_an_unknown_verb_never_reaches_control(desk: Desked) -> None:
    for verb in ("", "drill_report", "policy", "raise;lower", "x" * 5000):
        await desk.do(verb)
    assert commands(desk) == []


def form_type() -> dict[str, str]:
    return {"content-type": front.FORM.decode()}


async def raw(
    desk: Desked,
    method: str,
    path: bytes,
    headers: dict[str, str] | None = None,
    body: Sequence[bytes | None] = (),
) -> tuple[int, bytes]:
    """One request as a server would hand it on. None in `body` is a peer that says no more."""
    told = {"host": "127.0.0.1:8443", "cookie": f"{COOKIE}={desk.browser.cookies[COOKIE]}"} | (headers or {})
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path.decode(),
        "raw_path": path,
        "query_string": b"",
        "scheme": "https",
        "server": ("127.0.0.1", 8443),
        "client": ("192.168.8.66", 1),
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
    }
    rest = list(body)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        chunk = rest.pop(0) if rest else b""
        if chunk is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunk, "more_body": bool(rest)}

    async def send(message: Any) -> None:
        sent.append(message)

    await desk.app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
