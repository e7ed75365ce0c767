"""The console over the real core: the app, a link that steps it, a register on disk. No socket, no browser."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import msgspec
import web_scenes as scenes

from agent.control.server import Ask
from agent.core import box
from agent.core.commands import refusal
from agent.core.events import CardRead, Command, Event, Note, Now, PanicLine, PolicyChanged, ScanComplete, Started
from agent.core.records import Record
from agent.core.words import ClockTrust, Line, Rank
from agent.demo.school import FILES
from agent.link import ControlAway
from agent.picture.build import Extras, picture
from agent.picture.guard import guard
from agent.policy.command import from_folder
from agent.policy.names import NameTable
from agent.policy.sources import Folder
from agent.site_rules import rules_of
from agent.web.console.accounts import Account, Accounts, Role
from agent.web.console.app import Console, make_console
from agent.web.console.desk import Desk
from agent.web.feed import Feed
from agent.web.guard import App

HOST = "127.0.0.1:8443"
BASE = f"https://{HOST}"
PASSWORD = "four words are a pass phrase"
GUARD_CARD = "0100A1B2C3"
SCHOOL_DAY = datetime(2026, 11, 25, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
POLICY, _, _MISTAKES = from_folder(FILES, 1, 1)
assert POLICY is not None, _MISTAKES
NAMES = Folder(FILES).names()


class CoreLink:
    """Control as the console sees it, with the core and nothing else behind it."""

    def __init__(self, folder: Path) -> None:
        self.site = scenes.demo_site(folder)
        self.state = box.start(rules_of(self.site))
        self.records: list[Record] = []
        self.away = False
        self.mono_s = 100.0
        self.wall_ms = round(SCHOOL_DAY.timestamp() * 1000)
        self.asked: list[dict[str, Any]] = []
        self.send(Started("b", None, None, "power"), ScanComplete())
        for button in self.state.rules.buttons:
            self.send(PanicLine(button, Line.NORMAL, self.mono_s))
        assert POLICY is not None
        self.send(PolicyChanged(POLICY, "digest", "test"))

    @property
    def now(self) -> Now:
        return Now(self.mono_s, self.wall_ms, ClockTrust.TRUSTED)

    def send(self, *events: Event) -> list[Record]:
        made: list[Record] = []
        for event in events:
            self.state, records = box.step(self.state, event, self.now)
            made += records
        self.records += made
        return made

    def wait(self, seconds: float) -> None:
        self.mono_s += seconds
        self.wall_ms += round(seconds * 1000)

    def card(self, number: str = GUARD_CARD, reader: str = "guard") -> list[Record]:
        return self.send(CardRead(reader, f"uart-125k:{number}"))

    def kinds(self) -> list[str]:
        return [record.kind for record in self.records]

    async def request(self, message: dict[str, Any], *, timeout_s: float | None = None) -> dict[str, Any]:
        if self.away:
            raise ControlAway("nobody serves control.sock: control has stopped")
        ask = msgspec.convert(message, Ask)
        self.asked.append(message)
        match ask.op:
            case "guard":
                return {"op": "guard", "guard": msgspec.to_builtins(guard(self.state, self.now))}
            case "note":
                made = self.send(Note(ask.kind, ask.subject, ask.actor, ask.data))
            case _:
                made = self.send(Command(ask.id, Rank(ask.rank), ask.actor, ask.verb, ask.args))
        why = refusal(made) if ask.op == "command" else ""
        return {"op": "done", "ok": not why} | ({"why": why} if why else {})

    async def subscribe(self, from_seq: int = 0, *, state: bool = False) -> AsyncGenerator[dict[str, Any]]:
        await asyncio.Event().wait()
        yield {}


class Desked:
    """One console and a browser that is nobody yet."""

    def __init__(self, folder: Path, role: Role = Role.GUARD) -> None:
        self.folder = folder / "web"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.link = CoreLink(folder)
        self.feed = Feed(self.link, self.link.site)
        self.accounts = Accounts(self.folder)
        self.account: Account = self.accounts.add("gate", PASSWORD, role, 1)
        self.desk = Desk(self.folder, lambda: NameTable(NAMES))
        self.console = Console(self.link.site, self.feed, self.link, self.desk, self.accounts)
        self.app: App = make_console(self.console, frozenset({"127.0.0.1"}))
        self.browser = self.client(cookies={"language": "en"})
        self.look()

    def client(self, **more: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, client=("192.168.8.20", 50000))
        return httpx.AsyncClient(transport=transport, base_url=BASE, **more)

    def look(self) -> None:
        """Tell the feed how the gate stands now."""
        state, now = self.link.state, self.link.now
        told = picture(state, now, box.desired(state, now), self.link.site, Extras())
        self.feed.take({"op": "state", "state": msgspec.to_builtins(told)})

    async def post(self, path: str, fields: dict[str, str], client: httpx.AsyncClient | None = None) -> httpx.Response:
        return await (client or self.browser).post(path, data=fields, headers={"origin": BASE})

    async def log_in(self, login: str = "gate", password: str = PASSWORD) -> httpx.Response:
        return await self.post("/guard/login", {"login": login, "password": password})

    async def page(self, language: str = "en") -> str:
        self.look()
        answer = await self.browser.get("/guard", params={"lang": language})
        assert answer.status_code == 200, answer.headers
        return answer.text

    @property
    def csrf(self) -> str:
        (session,) = self.console.sessions.all()
        return session.csrf

    async def do(self, verb: str, **fields: str) -> str:
        """Send one form; what the page then says of it."""
        answer = await self.post("/guard/do", {"csrf": self.csrf, "verb": verb, **fields})
        assert answer.status_code == 303
        return await self.flash()

    async def flash(self) -> str:
        """What the page says of the last form, "" = nothing."""
        found = re.search(
            r'<p class="flash (?:ok|bad)(?: quiet)?" role="(?:status|alert)">([^<]*)</p>', await self.page()
        )
        return found[1] if found else ""

    async def refused(self, verb: str, **fields: str) -> str:
        """Send one form that will not do; the page that comes back."""
        await self.post("/guard/do", {"csrf": self.csrf, "verb": verb, **fields})
        page = await self.page()
        assert '<p class="flash bad' in page, page
        return page

    @staticmethod
    def form(page: str, verb: str) -> str:
        """The form of a verb on a page, from its verb on."""
        found = re.search(rf'name="verb" value="{verb}">.*?</form>', page, re.S)
        assert found is not None, verb
        return found[0]

    @staticmethod
    def typed(form: str) -> dict[str, str]:
        """What a browser would send of a form as it stands."""
        fields: dict[str, str] = {}
        for tag in re.findall(r"<input [^>]*>", form):
            told = dict(re.findall(r'(\w+)="([^"]*)"', tag))
            if told.get("type") not in ("radio", "checkbox") or re.search(r"\bchecked\b", tag):
                fields[told["name"]] = unescape(told.get("value", ""))
        for name, text in re.findall(r'<textarea name="(\w+)"[^>]*>(.*?)</textarea>', form, re.S):
            fields[name] = unescape(text)
        for name, inside in re.findall(r'<select name="(\w+)"[^>]*>(.*?)</select>', form, re.S):
            chosen = re.findall(r'value="([^"]*)" selected', inside) or re.findall(r'value="([^"]*)"', inside)
            fields[name] = chosen[0]
        return fields


VISITOR = {
    "name": "王小明",
    "id_number": "110101199003074512",
    "plate": "京A12345",
    "host": "staff-1",
    "kind": "visitor",
    "purpose": "meeting",
    "minutes": "30",
    "place": "door:wicket",
}


def last(desk: Desked, kind: str) -> Record:
    return [record for record in desk.link.records if record.kind == kind][-1]


def legible(desk: Desked) -> str:
    return repr([(record.actor, record.subject, record.data) for record in desk.link.records])
