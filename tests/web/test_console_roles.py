"""Who sits at the console: accounts, log-ins that end, what each role sees and asks; and the pictures of hazards."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from console_rig import BASE, NAMES, PASSWORD, VISITOR, Desked, last, legible
from test_web_words import texts

from agent.core.events import PanicLine
from agent.core.words import Line
from agent.register.store import Register
from agent.web.console.accounts import Role
from agent.web.console.app import Console
from agent.web.console.asks import ASKS
from agent.web.console.front import MAX_PHOTO
from agent.web.console.kept import LEFT_S, MOST_LEFT, NOTHING, Answer, LeftOver, keep
from agent.web.console.pages import PARTS
from agent.web.console.sessions import Sessions


async def test_the_head_makes_a_code_and_a_guard_comes_in_by_it(tmp_path: Path) -> None:
    desk = Desked(tmp_path, Role.HEAD)
    await desk.log_in()
    answer = await desk.post("/guard/accounts", {"csrf": desk.csrf, "role": "guard"})
    code = re.search(r"[A-Z2-9]{5}-[A-Z2-9]{5}", answer.text)
    assert code
    fields = {"code": code[0], "login": "night", "password": PASSWORD, "again": PASSWORD}
    made = await desk.post("/guard/first", fields, desk.client())
    assert made.status_code == 303 and made.headers["location"] == "/guard"
    night = next(account for account in desk.accounts.all() if account.login == "night")
    assert night.role is Role.GUARD
    remove = {"csrf": desk.console.sessions.all()[0].csrf, "remove": night.handle}
    asked = await desk.post("/guard/accounts", remove)
    assert "Remove the account “night” (guard)?" in asked.text
    assert [account.login for account in desk.accounts.all()] == ["gate", "night"], "one tap alone removes nobody"
    other = await desk.post("/guard/accounts", remove | {"sure": desk.account.handle})
    assert "Remove the account “night” (guard)?" in other.text and len(desk.accounts.all()) == 2
    gone = await desk.post("/guard/accounts", remove | {"sure": night.handle})
    assert "Account “night” is removed." in gone.text
    assert [account.login for account in desk.accounts.all()] == ["gate"] and len(desk.console.sessions) == 1
    kinds = desk.link.kinds()
    assert [kinds.count(f"account.{name}") for name in ("code", "made", "removed")] == [1, 1, 1]
    assert "night" not in legible(desk) and "gate'" not in repr([record.actor for record in desk.link.records])


async def test_the_last_head_cannot_go_and_another_who_goes_by_his_own_hand_is_told(tmp_path: Path) -> None:
    desk = Desked(tmp_path, Role.HEAD)
    await desk.log_in()
    own = {"csrf": desk.csrf, "remove": desk.account.handle}
    for fields in (own, own | {"sure": desk.account.handle}):
        answer = await desk.post("/guard/accounts", fields)
        assert "The last head of security stays" in answer.text and "Remove for good" not in answer.text
    assert desk.accounts.all() == (desk.account,)
    desk.accounts.add("deputy", PASSWORD, Role.HEAD, 1)
    assert "It is your own" in (await desk.post("/guard/accounts", own)).text
    answer = await desk.post("/guard/accounts", own | {"sure": desk.account.handle})
    assert (answer.status_code, answer.headers["location"]) == (303, "/guard")
    assert [account.login for account in desk.accounts.all()] == ["deputy"] and len(desk.console.sessions) == 0


async def test_a_form_of_an_old_accounts_page_says_so(tmp_path: Path) -> None:
    desk = Desked(tmp_path, Role.HEAD)
    await desk.log_in()
    answer = await desk.post("/guard/accounts", {"csrf": "old", "role": "guard"})
    assert "The page was out of date" in answer.text


VISIT = {"name": "赵建国", "id_number": "11010519491231002X", "host": "刘芳"}
VISIT |= {"verb": "visit_register", "place_on_page": "visits"}


@pytest.mark.parametrize("way", ["do", "left"])
async def test_what_was_typed_when_the_log_in_ended_stands_in_its_form_again(desk: Desked, way: str) -> None:
    """The web role was restarted: nobody is logged in, and what is sent or half typed is done by nobody."""
    csrf, asked = desk.csrf, len(desk.link.asked)
    desk.console.sessions = Sessions()
    answer = await desk.post(f"/guard/{way}", {"csrf": csrf, **VISIT})
    assert answer.headers.get("location", "") == ("/guard/login?ended=form" if way == "do" else "")
    assert len(desk.link.asked) == asked and legible(desk).count("赵建国") == 0
    entered = await desk.log_in()
    assert entered.headers["location"] == "/guard#visits"
    page = await desk.page()
    assert "The log-in had ended before this was sent: nothing was done." in page
    form = desk.typed(desk.form(page, "visit_register"))
    assert (form["name"], form["host"], form["id_number"]) == ("赵建国", "刘芳", "…002X")
    assert "赵建国" not in await desk.page(), "once"


async def test_what_was_left_waits_for_its_own_browser_and_role_and_not_for_long(tmp_path: Path) -> None:
    desk = Desked(tmp_path)
    desk.accounts.add("plumber", PASSWORD, Role.MAINTENANCE, 1)
    await desk.log_in()
    desk.console.sessions = Sessions()
    await desk.post("/guard/left", VISIT)
    stranger = desk.client(cookies={"language": "en"})
    await desk.post("/guard/login", {"login": "gate", "password": PASSWORD}, stranger)
    assert "赵建国" not in (await stranger.get("/guard")).text
    await desk.log_in("plumber")
    assert "赵建国" not in (await desk.browser.get("/guard")).text
    left = LeftOver()
    form = keep("visit_register", VISIT, Answer("ended"), "")
    left.put("", form, 0.0)
    for number in range(MOST_LEFT + 1):
        left.put(f"t{number}", form, 0.0)
    assert left.take("t0", 1.0) == left.take("", 1.0) == NOTHING and left.take("t1", 1.0) == form
    assert left.take("t2", LEFT_S) == NOTHING


async def test_whoever_comes_back_during_an_alarm_sees_the_alarm_first(desk: Desked) -> None:
    desk.console.sessions = Sessions()
    await desk.post("/guard/left", VISIT)
    desk.link.send(PanicLine("gatehouse", Line.PRESSED, desk.link.mono_s))
    desk.look()
    assert (await desk.log_in()).headers["location"] == "/guard"
    assert "赵建国" in await desk.page()


async def test_a_page_that_is_logged_in_leaves_nothing_behind(desk: Desked) -> None:
    await desk.post("/guard/left", VISIT)
    await desk.log_in()
    assert "赵建国" not in await desk.page()


async def test_the_stream_sends_what_changed_and_ends_with_the_session(desk: Desked) -> None:
    (session,) = desk.console.sessions.all()
    asked: Any = SimpleNamespace(cookies=dict(desk.browser.cookies))
    told = Console._parts(desk.console, asked, session, "en")
    assert (await anext(told)).startswith(b"retry")
    first = (await anext(told)).decode()
    assert all(f'"{part}"' in first for part in PARTS)
    desk.link.send(PanicLine("gatehouse", Line.PRESSED, desk.link.mono_s))
    desk.look()
    news = (await anext(told)).decode()
    assert '"alarm"' in news and '"state":"alarm"' in news and '"hazards"' not in news
    desk.console.sessions.end_of(desk.account.handle)
    with pytest.raises(StopAsyncIteration):
        await anext(told)


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_sees_only_buttons_it_may_press(tmp_path: Path, role: Role) -> None:
    desk = Desked(tmp_path, role)
    await desk.log_in()
    desk.link.send(PanicLine("gatehouse", Line.PRESSED, desk.link.mono_s))
    page = await desk.page()
    for verb in set(re.findall(r'name="verb" value="(\w+)"', page)):
        assert role in ASKS[verb].roles, verb
    shown: Any = NAMES["guard-1"] in page
    assert not shown or role in ASKS["slip_add"].roles


@pytest.mark.parametrize("path", ["/guard", "/guard/muster", "/guard/accounts", "/guard/login", "/guard/first"])
async def test_the_chinese_console_speaks_no_english(tmp_path: Path, path: str) -> None:
    desk = Desked(tmp_path, Role.HEAD)
    await desk.log_in()
    desk.link.send(PanicLine("gatehouse", Line.PRESSED, desk.link.mono_s))
    desk.look()
    own = re.compile(r"gate(-1)?|English|MQTT|SIA DC-09|SHA-256|menwei account (code|fingerprint)|u-[0-9a-z]{12}")
    page = (await desk.browser.get(path, params={"lang": "zh_CN"})).text
    for text in texts(page):
        assert not re.search(r"[A-Za-z]{3,}", own.sub("", text)), text


async def test_who_sees_to_a_hazard_reads_what_it_is_and_no_name(tmp_path: Path) -> None:
    desk = Desked(tmp_path, Role.MAINTENANCE)
    await desk.log_in()
    await desk.do("hazard_open", what="fence", text="东墙铁丝网破损", owner="somebody new", due="7")
    await desk.do("visit_register", **VISITOR)
    page = await desk.page()
    assert "东墙铁丝网破损" in page and "maintenance staff and installers read this too" in page
    assert "/guard/muster" not in page
    assert (await desk.browser.get("/guard/muster")).headers["location"] == "/guard", "he is logged in"
    assert "somebody new" not in page and not [name for name in NAMES.values() if name in page]


async def noted(desk: Desked) -> str:
    await desk.do("hazard_open", what="fence", text="东墙铁丝网破损", owner="staff-1", due="7")
    (handle,) = desk.link.state.duty.hazards
    return handle


async def send_photo(desk: Desked, handle: str, body: bytes, **more: str) -> int:
    headers = {"origin": BASE, "content-type": "image/jpeg", "x-csrf": desk.csrf} | more
    return (await desk.browser.post(f"/guard/photo/{handle}", content=body, headers=headers)).status_code


PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40


async def test_a_hazards_picture_is_sealed_shown_and_told_by_its_hash(desk: Desked) -> None:
    handle = await noted(desk)
    assert await send_photo(desk, handle, PHOTO) == 204
    told = last(desk, "hazard.photo")
    assert told.data == {"bytes": len(PHOTO), "hazard": handle, "sha256": hashlib.sha256(PHOTO).hexdigest()}
    assert f'href="/guard/photo/{handle}"' in await desk.page()
    answer = await desk.browser.get(f"/guard/photo/{handle}")
    assert answer.content == PHOTO and answer.headers["content-type"] == "image/jpeg"
    assert last(desk, "view.register").data == {"what": "photo"}
    assert PHOTO[4:200] not in (desk.folder / "register.db").read_bytes()
    Register(desk.folder).erase(handle)
    assert (await desk.browser.get(f"/guard/photo/{handle}")).status_code == 404


async def test_a_bad_picture_is_refused(desk: Desked) -> None:
    handle = await noted(desk)
    assert await send_photo(desk, handle, b"<svg onload=alert(1)>") == 400
    assert await send_photo(desk, "h-0a1b2c3d4e5f", PHOTO) == 400
    assert await send_photo(desk, handle, PHOTO, **{"x-csrf": "guessed"}) == 403
    assert await send_photo(desk, handle, PHOTO, origin="https://evil.example") == 403
    assert await send_photo(desk, handle, PHOTO, **{"content-type": "text/html"}) == 415
    assert await send_photo(desk, handle, b"\xff\xd8\xff" + bytes(MAX_PHOTO)) == 413
    assert "hazard.photo" not in desk.link.kinds()
    stranger = desk.client()
    assert (await stranger.get(f"/guard/photo/{handle}")).status_code == 303


async def test_who_may_not_see_names_cannot_ask_for_them_either(tmp_path: Path) -> None:
    """A typed piece of a name must not bring up the list of those it could mean."""
    desk = Desked(tmp_path, Role.MAINTENANCE)
    await desk.log_in()
    fields = {"verb": "hazard_open", "what": "fence", "text": "x", "owner": "松", "due": "7"}
    await desk.post("/guard/do", {"csrf": desk.csrf, **fields})
    page = await desk.page()
    assert not [name for name in NAMES.values() if name in page] and 'name="pick"' not in page
