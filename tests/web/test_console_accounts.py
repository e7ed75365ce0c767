"""Accounts without a default password, sessions that end, tries that are counted by place."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from pathlib import Path

import pytest
from console_rig import PASSWORD, Desked

from agent.pace import AT_ONCE
from agent.web.console import command
from agent.web.console import sessions as s
from agent.web.console.accounts import CODE_HOURS, FILE, Account, Accounts, BadAccount, Role
from agent.web.console.sessions import Sessions, Tries
from agent.web.feed import wall_ms
from hardware import profiles

HOUR_MS = 3_600_000


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path)


def account(role: Role = Role.GUARD) -> Account:
    return Account(handle="u-0a1b2c3d4e5f", login="gate", role=role, hash="", made_ms=0)


def test_a_new_box_has_no_account_and_no_password_opens_it(accounts: Accounts) -> None:
    assert accounts.all() == ()
    for login, password in (("admin", "admin"), ("root", ""), ("gate", "gate"), ("", "")):
        assert accounts.check(login, password) is None


def test_the_first_account_is_made_with_a_code_once(accounts: Accounts) -> None:
    code = accounts.make_code(Role.HEAD, 0)
    made = accounts.redeem(code.lower().replace("-", " "), "Gate", PASSWORD, 1)
    assert made.role is Role.HEAD and made.login == "gate" and made.handle.startswith("u-")
    assert accounts.check("gate", PASSWORD) == made and accounts.check("gate", PASSWORD + "x") is None
    with pytest.raises(BadAccount, match="code"):
        accounts.redeem(code, "second", PASSWORD, 2)


@pytest.mark.parametrize("before", [True, False], ids=["before the verb", "behind it"])
def test_a_code_from_the_boxs_own_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], before: bool) -> None:
    """The site file and the language may stand where every other command has them."""
    site = tmp_path / "gatebox.toml"
    site.write_bytes((profiles.FOLDER / "sites/demo.toml").read_bytes())
    common, verb = ["--config", str(site), "--lang", "en"], ["code", "--role", "guard"]
    assert command.run(common + verb if before else verb + common) == 0
    told = re.search(r"account \(guard\), good for 24 hours: (\S+)\n", capsys.readouterr().out)
    assert told is not None
    made = Accounts(tmp_path / "state/web").redeem(told[1], "gate", PASSWORD, wall_ms())
    assert made.role is Role.GUARD


def test_a_code_is_good_for_a_day_and_nothing_of_it_is_kept(accounts: Accounts) -> None:
    code = accounts.make_code(Role.GUARD, 0)
    kept = accounts.path.read_text()
    assert code not in kept and code.replace("-", "") not in kept
    with pytest.raises(BadAccount, match="code"):
        accounts.redeem(code, "gate", PASSWORD, CODE_HOURS * HOUR_MS)
    with pytest.raises(BadAccount, match="code"):
        accounts.redeem("AAAAA-AAAAA", "gate", PASSWORD, 1)


@pytest.mark.parametrize(
    ("login", "password", "why"),
    [
        ("x", PASSWORD, "login"),
        ("two words", PASSWORD, "login"),
        ("王小明", PASSWORD, "login"),
        ("gate", "short", "password_length"),
        ("gate", "x" * 129, "password_length"),
        ("gate", "aaaaaaaaaaaa", "password_weak"),
        ("gate", "my-gate-2026", "password_weak"),
        ("taken", PASSWORD, "login_taken"),
    ],
)
def test_a_bad_account_is_refused_and_its_code_stays_good(
    accounts: Accounts, login: str, password: str, why: str
) -> None:
    accounts.add("taken", PASSWORD, Role.GUARD, 0)
    code = accounts.make_code(Role.GUARD, 0)
    with pytest.raises(BadAccount) as refused:
        accounts.redeem(code, login, password, 1)
    assert refused.value.args == (why,)
    assert accounts.redeem(code, "other", PASSWORD, 1).login == "other"


def test_the_file_holds_no_password_and_is_its_owners(accounts: Accounts) -> None:
    accounts.add("gate", PASSWORD, Role.GUARD, 0)
    assert PASSWORD not in accounts.path.read_text() and "$argon2id$" in accounts.path.read_text()
    assert stat.S_IMODE(accounts.path.stat().st_mode) == 0o600


def test_a_link_in_the_web_roles_folder_leads_the_shells_root_nowhere(
    accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root writes into a folder that is the web role's: whoever took that role over must not gain a file by it."""
    given: list[tuple[int, ...]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda file, *owner: given.append((os.fstat(file).st_ino, *owner)))
    monkeypatch.setattr(Path, "stat", lambda path, **more: os.stat_result((0o40750, 1, 1, 1, 990, 991, 0, 0, 0, 0)))
    shadow = tmp_path / "shadow"
    shadow.write_text("root:x")
    shadow.chmod(0o644)
    accounts.path.with_name(accounts.path.name + ".new").symlink_to(shadow)
    accounts.make_code(Role.GUARD, 0)
    told = os.lstat(shadow)
    assert (shadow.read_text(), told.st_mode & 0o777) == ("root:x", 0o644)
    assert given == [(os.lstat(accounts.path).st_ino, 990, 991)] and not accounts.path.is_symlink()


def test_the_last_head_of_security_stays(accounts: Accounts) -> None:
    head = accounts.add("head", PASSWORD, Role.HEAD, 0)
    guard = accounts.add("gate", PASSWORD, Role.GUARD, 0)
    accounts.remove(guard.handle)
    with pytest.raises(BadAccount, match="last_head"):
        accounts.remove(head.handle)


def test_a_damaged_file_is_told_and_never_means_nobody(accounts: Accounts) -> None:
    (accounts.path.parent / FILE).write_text("{")
    with pytest.raises(OSError, match="damaged"):
        accounts.all()


# ── sessions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_ends_by_idleness_and_by_age() -> None:
    sessions = Sessions()
    token, made = sessions.begin(account(Role.HEAD), "here", 0.0)
    assert sessions.find(token, s.IDLE_OTHERS_S) is made
    assert sessions.find(token, 2 * s.IDLE_OTHERS_S + 1) is None
    token, made = sessions.begin(account(), "here", 0.0)
    for hour in range(1, 16):
        assert sessions.find(token, hour * 3600.0) is made
    assert sessions.find(token, s.LONGEST_S + 1) is None


def test_an_open_page_alone_keeps_nobody_logged_in() -> None:
    sessions = Sessions()
    token, _ = sessions.begin(account(Role.HEAD), "here", 0.0)
    for at in range(0, 1800, 60):
        assert sessions.find(token, float(at), touch=False) is not None
    assert sessions.find(token, s.IDLE_OTHERS_S + 1, touch=False) is None


def test_tokens_are_not_kept_and_no_other_opens() -> None:
    sessions = Sessions()
    token, _ = sessions.begin(account(), "here", 0.0)
    assert token not in repr(vars(sessions))
    assert sessions.find("", 1.0) is None and sessions.find(token + "x", 1.0) is None


def test_more_sessions_than_there_are_end_the_one_unused_longest() -> None:
    sessions = Sessions()
    tokens = [sessions.begin(account(), "here", float(n))[0] for n in range(s.MOST_SESSIONS + 1)]
    assert sessions.find(tokens[0], 40.0) is None and sessions.find(tokens[1], 40.0) is not None


# ── tries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_five_wrong_tries_from_one_place_lock_that_login_there_alone() -> None:
    tries = Tries()
    told = [tries.wrong("gate", "evil", float(n)) for n in range(5)]
    assert told == [False, False, False, False, True]
    assert tries.locked("gate", "evil", 5.0)
    assert not tries.locked("gate", "tablet", 5.0)
    assert not tries.locked("gate", "evil", 5.0 + s.WRONG_WITHIN_S)


def test_a_flood_from_everywhere_never_locks_the_tablet_out() -> None:
    tries = Tries()
    tries.right("gate", "tablet")
    for number in range(400):
        tries.wrong("gate", f"evil-{number}", 1.0)
    assert not tries.locked("gate", "tablet", 2.0)
    assert tries.locked("gate", "a-new-place", 2.0)


async def test_the_sixth_try_is_not_even_looked_at(tmp_path: Path) -> None:
    desk = Desked(tmp_path)
    codes = [(await desk.log_in(password="wrong wrong")).status_code for _ in range(5)]
    assert codes == [403] * 5
    answer = await desk.log_in()
    assert answer.status_code == 429 and "Too many wrong tries" in answer.text
    assert desk.link.kinds().count("account.refused") == 5 and desk.link.kinds().count("account.locked") == 1
    texts = repr([record.data for record in desk.link.records])
    assert "wrong wrong" not in texts and PASSWORD not in texts


async def test_tries_that_come_together_are_counted_one_by_one(tmp_path: Path) -> None:
    """Whoever opens many connections and asks on all of them at once gets no more tries by it."""
    desk = Desked(tmp_path)
    answers = await asyncio.gather(*(desk.log_in(password=f"wrong wrong {n}") for n in range(20)))
    assert sorted(answer.status_code for answer in answers) == [403] * s.MOST_WRONG + [429] * 15
    fields = {"login": "new", "password": "long enough", "again": "long enough"}
    firsts = await asyncio.gather(*(desk.post("/guard/first", fields | {"code": f"AAAAA-{n}"}) for n in range(20)))
    assert sorted(answer.status_code for answer in firsts) == [400] * s.MOST_WRONG + [429] * 15


async def test_wrong_tries_from_everywhere_are_counted_and_not_all_written_down(tmp_path: Path) -> None:
    desk = Desked(tmp_path)
    for number in range(AT_ONCE + 5):
        await desk.console._wrong("gate", f"192.168.8.{number}", locks=False)
    assert AT_ONCE <= desk.link.kinds().count("account.refused") <= AT_ONCE + 1


async def test_what_was_typed_at_the_door_stays_but_the_password(tmp_path: Path) -> None:
    desk = Desked(tmp_path)
    code = desk.accounts.make_code(Role.GUARD, wall_ms())
    asked = {"code": code, "login": "Wang <li>", "password": "a long enough one", "again": "a long enough one"}
    for change, field in (({}, "login"), ({"again": "another one"}, "again"), ({"code": "AAAAA-AAAAA"}, "code")):
        page = (await desk.post("/guard/first", asked | change)).text
        assert 'value="Wang &lt;li&gt;"' in page and f'value="{(asked | change)["code"]}"' in page
        assert "a long enough one" not in page and page.count('aria-invalid="true"') == 1
        assert re.search(rf'name="{field}"[^>]*aria-invalid="true" aria-describedby="why" autofocus', page), page
    page = (await desk.post("/guard/login", {"login": "gate", "password": "a wrong one"})).text
    assert 'value="gate"' in page and "a wrong one" not in page
