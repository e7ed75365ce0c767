"""The console's addresses: logging in and out, the page and its stream, the forms, the muster list, the accounts."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from agent.link import ControlAway
from agent.pace import Pace
from agent.picture.guard import Guard as GuardPicture
from agent.policy.names import NameTable
from agent.register.store import BadRegister
from agent.web import assets
from agent.web.app import COOKIE as LANGUAGE_COOKIE
from agent.web.app import NO_STORE, STREAM_HEADERS, broken, language_of, nothing, other_language
from agent.web.console import certificate
from agent.web.console.accounts import Account, Accounts, BadAccount, Role
from agent.web.console.asks import ASKS, GUARDS, Form, Refusal
from agent.web.console.desk import Desk, Unknown
from agent.web.console.front import Front
from agent.web.console.kept import NOTHING, Answer, LeftOver, at_fault, keep, picked
from agent.web.console.pages import ConsolePages, ConsoleView, Told
from agent.web.console.sessions import COOKIE, Session, Sessions, Tries
from agent.web.feed import Feed, Link, wall_ms
from agent.web.guard import App
from agent.web.stream import BEAT_S, LEAST_S, event
from hardware import profiles
from hardware.site import Site

log = logging.getLogger("menwei.console")

MOST_STREAMS = 12  # D: a gatehouse has a tablet and a PC; the office looks in
JPEG_START = b"\xff\xd8\xff"  # ITU T.81 (V): start of image, then a marker
LANGUAGE_S = 365 * 86_400
HOME = "/guard"


class Changed(msgspec.Struct, frozen=True):
    """What became of a form of the accounts page: a new code, an account to ask about, or one that is gone."""

    code: str = ""
    asked: Account | None = None
    gone: Account | None = None


class Console:
    """The handlers, over the web role's feed and link."""

    def __init__(self, site: Site, feed: Feed, link: Link, desk: Desk, accounts: Accounts) -> None:
        self._feed = feed
        self._link = link
        self._desk = desk
        self.accounts = accounts
        self.sessions = Sessions()
        self._left = LeftOver()
        self._tries = Tries()
        self._pace = Pace()
        self._pages = ConsolePages(feed, site)
        self._card_format = profiles.reader(site.reader[0].profile).format if site.reader else ""
        self._assets = assets.load()
        self._build = assets.fingerprint(self._assets)
        self._hashing = asyncio.Lock()  # one password at a time: 19 MiB each
        self._streams = 0

    def routes(self) -> list[Route]:
        return [
            Route("/", self.root),
            Route(HOME, self.home),
            Route(f"{HOME}/stream", self.stream),
            Route(f"{HOME}/do", self.do, methods=["POST"]),
            Route(f"{HOME}/left", self.left, methods=["POST"]),
            Route(f"{HOME}/muster", self.muster),
            Route(f"{HOME}/login", self.login, methods=["GET", "POST"]),
            Route(f"{HOME}/first", self.first, methods=["GET", "POST"]),
            Route(f"{HOME}/logout", self.logout, methods=["POST"]),
            Route(f"{HOME}/accounts", self.accounts_page, methods=["GET", "POST"]),
            Route(f"{HOME}/photo/{{handle}}", self.photo, methods=["GET", "POST"]),
            Route("/authority.crt", self.authority),
            Route("/static/{name}", self.asset),
        ]

    # ── in and out ─────────────────────────────────────────────────────────────────────────────────────────────

    async def root(self, request: Request) -> Response:
        return _to(HOME)

    async def login(self, request: Request) -> Response:
        if request.method != "POST":
            return self._login_page(request, "")
        form = _form(request)
        login, peer = form.get("login", "").strip().lower()[:64], _peer(request)
        async with self._hashing:  # judged in turn: tries that come together are counted one by one
            now = time.monotonic()
            if self._tries.locked(login, peer, now):
                return self._login_page(request, "locked", 429)
            account = await asyncio.to_thread(self.accounts.check, login, form.get("password", ""))
            locks = account is None and self._tries.wrong(login, peer, now)
        if account is None:
            await self._wrong(login, peer, locks)
            return self._login_page(request, "wrong", 403)
        self._tries.right(login, peer)
        return await self._begin(request, account)

    async def _wrong(self, login: str, peer: str, locks: bool) -> None:
        """A wrong try is a record, a lock-out another; of a flood from many places only some. What was typed may be a
        password: it is in neither."""
        if not self._pace.may(time.monotonic()):
            return
        known = next((account.handle for account in self.accounts.all() if account.login == login), "")
        data = {"account": known, "peer": peer}
        await self.note("account.refused", "console", data | self._pace.held_back())
        if locks:
            await self.note("account.locked", "console", data)

    async def _begin(self, request: Request, account: Account) -> Response:
        old, now = request.cookies.get(COOKIE, ""), time.monotonic()
        self.sessions.end(old)
        token, session = self.sessions.begin(account, _peer(request), now)
        left = self._left.take(old, now)
        if left.verb in ASKS and account.role in ASKS[left.verb].roles:
            session.kept, session.flash = left, ("bad", left.told)
        await self.note("account.login", account.handle, {"peer": _peer(request), "role": account.role.value})
        response = _to(HOME if self._feed.picture.panic.latched else _home(session.kept.place))
        response.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="strict", path="/")
        return response

    async def first(self, request: Request) -> Response:
        """An account made with a one-time code."""
        if request.method != "POST":
            return self._page(request, "console_first", why="")
        form, peer = _form(request), _peer(request)
        if form.get("password") != form.get("again"):
            return self._page(request, "console_first", 400, why="password_twice")
        made_from = (form.get("code", ""), form.get("login", ""), form.get("password", ""), wall_ms())
        locks = False
        try:
            async with self._hashing:
                now = time.monotonic()
                if self._tries.locked("", peer, now):
                    return self._page(request, "console_first", 429, why="locked")
                try:
                    account = await asyncio.to_thread(self.accounts.redeem, *made_from)
                except BadAccount as bad:
                    locks = bad.args[0] == "code" and self._tries.wrong("", peer, now)
                    raise
        except BadAccount as bad:
            if bad.args[0] == "code":
                await self._wrong("", peer, locks)
            return self._page(request, "console_first", 400, why=bad.args[0])
        await self.note("account.made", account.handle, {"role": account.role.value})
        return await self._begin(request, account)

    async def logout(self, request: Request) -> Response:
        session = self._session(request)
        if session is not None and _is_of(session, _form(request)):
            self.sessions.end(request.cookies.get(COOKIE, ""))
            await self.note("account.logout", session.account.handle, {})
        response = _to(f"{HOME}/login")
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return response

    def _login_page(self, request: Request, why: str, status: int = 200) -> Response:
        nobody = not self.accounts.all()
        print_ = certificate.fingerprint(self._desk.folder)
        ended = request.query_params.get("ended", "") if not why else ""
        return self._page(request, "console_login", status, why=why, nobody=nobody, fingerprint=print_, ended=ended)

    def _session(self, request: Request, *, touch: bool = True) -> Session | None:
        """Who asks. An account that was removed or has another password meanwhile, by whatever hand, is nobody."""
        session = self.sessions.find(request.cookies.get(COOKIE, ""), time.monotonic(), touch=touch)
        if session is not None and self.accounts.by_handle(session.account.handle) != session.account:
            self.sessions.end(request.cookies.get(COOKIE, ""))
            return None
        return session

    # ── the page ───────────────────────────────────────────────────────────────────────────────────────────────

    async def home(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return _to_login(request)
        language = language_of(request)
        view = self._pages.view(language, session, await self._told(session), session.take_kept())
        await self._looked(session, "console")
        return self._page(
            request,
            "console",
            v=view,
            html=self._pages.parts(view),
            title=self._pages.title(view),
            flash=session.take_flash(),
            mono_ms=self._feed.mono_ms(),
            stream=f"{HOME}/stream?lang={language}",
        )

    async def muster(self, request: Request) -> Response:
        """Who is inside, to print. Guards and the head of security only."""
        session = self._session(request)
        if session is None:
            return _to_login(request)
        if session.account.role not in GUARDS:
            return _to(HOME)
        view = self._pages.view(language_of(request), session, await self._told(session))
        await self._looked(session, "muster")
        return self._page(request, "console_muster", v=view)

    async def stream(self, request: Request) -> Response:
        session = self._session(request, touch=False)
        if session is None:
            return PlainTextResponse("log in first\n", 403, headers=NO_STORE)
        if self._streams >= MOST_STREAMS:
            return PlainTextResponse("too many consoles are open\n", 503, headers=NO_STORE)
        told = self._parts(request, session, language_of(request))
        return StreamingResponse(told, media_type="text/event-stream", headers=STREAM_HEADERS)

    async def _parts(self, request: Request, session: Session, language: str) -> AsyncGenerator[bytes]:
        """As the status page's stream; ends when the session does."""
        self._streams += 1
        try:
            yield b"retry: 1000\n\n"
            seen, sent = 0, dict[str, str]()
            while not self._feed.closed and self._session(request, touch=False) is session:
                changed = await self._feed.wait(seen, BEAT_S)
                seen = self._feed.version
                view = self._pages.view(language, session, await self._told(session))
                parts = self._pages.parts(view)
                news = {name: html for name, html in parts.items() if sent.get(name) != html}
                sent = parts
                frozen = not self._feed.contact.up
                times = {"mono": self._feed.mono_ms(), "now": wall_ms(), "frozen": frozen, "build": self._build}
                if news or changed:
                    yield event(
                        "parts", {"parts": news, "title": self._pages.title(view), "state": _state(view)} | times
                    )
                else:
                    yield event("beat", times)
                await asyncio.sleep(LEAST_S if changed else 0)
        finally:
            self._streams -= 1

    async def _guard(self) -> GuardPicture | None:
        """Today at the gate; None while control is away or cannot be understood."""
        try:
            answer = await self._link.request({"op": "guard"})
            return msgspec.convert(answer.get("guard"), GuardPicture)
        except ControlAway:
            return None
        except msgspec.ValidationError as error:
            log.error("control told a guard's picture that cannot be read: %s", error)
            return None

    async def _names(self, session: Session, guard: GuardPicture) -> NameTable:
        """The school's names, for those who may see them; for others there are none, not even to look somebody up."""
        return await self._desk.names(guard.version) if session.account.role in GUARDS else NameTable()

    async def _told(self, session: Session) -> Told:
        guard = await self._guard()
        if guard is None:
            return Told(guard=None, names=NameTable(), entries={})
        hazards = [hazard.handle for hazard in guard.hazards]
        photos = self._desk.with_photo(hazards)
        handles = [one for visit in guard.visits for one in (visit.handle, visit.host)]
        handles += [one for hazard in guard.hazards for one in (hazard.handle, hazard.owner)]
        handles += [slip.issuer for slip in guard.slips]
        entries = self._desk.entries(handles)  # the same for whoever looks: the desk keeps the last
        if session.account.role not in GUARDS:  # whoever sees to a hazard must read what it is
            own = {handle: entries[handle] for handle in hazards}
            return Told(guard=guard, names=NameTable(), entries=own, photos=photos)
        names = await self._names(session, guard)
        return Told(guard=guard, names=names, entries=entries, notes=self._desk.notes(), photos=photos)

    async def _looked(self, session: Session, what: str) -> None:
        await self.note("view.register", session.account.handle, {"what": what})

    # ── forms ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def do(self, request: Request) -> Response:
        """One form: one command, one answer on the page it came from."""
        session = self._session(request)
        if session is None:
            self._leave(request)
            return _to_login(request)
        fields = _form(request)
        verb = fields.get("verb", "")
        if not _is_of(session, fields):
            answer = Answer("csrf")
        elif verb not in ASKS or session.account.role not in ASKS[verb].roles:
            answer = Answer("role")
            await self.note("command.refused", session.account.handle, {"verb": verb[:40], "why": "role"})
        else:
            answer = await self._ask(session, verb, picked(fields))
        session.turn += 1
        language = language_of(request)
        told = self._pages.why(language, answer.why) if answer.why else self._pages.words[language].t("Done.")
        session.flash = ("bad" if answer.why else "ok", told)
        session.kept = keep(verb, fields, answer, told) if answer.why else NOTHING
        return _to(_home(fields.get("place_on_page", "")))

    async def left(self, request: Request) -> Response:
        """What stands half typed on a page whose log-in has ended, from its script. Nothing of it is done."""
        if self._session(request, touch=False) is None:
            self._leave(request)
        return Response(status_code=204, headers=NO_STORE)

    def _leave(self, request: Request) -> None:
        fields = _form(request)
        told = self._pages.why(language_of(request), "ended")
        form = keep(fields.get("verb", ""), fields, Answer("ended"), told)
        self._left.put(request.cookies.get(COOKIE, ""), form, time.monotonic())

    async def _ask(self, session: Session, verb: str, fields: dict[str, str]) -> Answer:
        """Ask control."""
        ask = ASKS[verb]
        form: Form | None = None
        try:
            guard = await self._guard()
            if guard is None:
                return Answer("away")
            names = await self._names(session, guard)
            form = Form(fields, self._desk, names, session.account.handle, guard.wall_ms, self._card_format)
            ident = session.ident(verb, fields.get(ask.subject, ""))
            message = {"op": "command", "id": ident, "rank": "console", "actor": session.account.handle, "verb": verb}
            answer = await self._link.request(message | {"args": ask.build(form)})
            told = Answer("" if answer.get("ok") is True else str(answer.get("why", "away")))
        except (Refusal, Unknown) as refusal:
            people = refusal.people if isinstance(refusal, Unknown) else ()
            told = Answer(str(refusal), form.at if form is not None else "", people)
        except BadRegister as bad:
            log.error("%s", bad)
            told = Answer("register")
        except ControlAway:
            return Answer("away")  # it may have been done: what was written for it stays
        if told.why and form is not None:
            for handle in form.written:
                self._desk.erase(handle)
        return told

    async def photo(self, request: Request) -> Response:
        """The picture of an open hazard: taken with a tablet, looked at by whoever sees to it. Each is one record."""
        session = self._session(request)
        handle = str(request.path_params["handle"])
        if session is None or session.account.role not in ASKS["hazard_open"].roles:
            return _to_login(request)
        try:
            if request.method == "POST":
                return await self._keep_photo(request, session, handle)
            found = self._desk.photo(handle)
        except BadRegister as bad:
            log.error("%s", bad)
            found = None
        if found is None:
            return PlainTextResponse("there is nothing here\n", 404, headers=NO_STORE)
        await self._looked(session, "photo")
        return Response(found, media_type="image/jpeg", headers=NO_STORE)

    async def _keep_photo(self, request: Request, session: Session, handle: str) -> Response:
        body: bytes = request.scope["form"]
        guard = await self._guard()
        known = guard is not None and any(hazard.handle == handle for hazard in guard.hazards)
        if not _is_of(session, {"csrf": request.headers.get("x-csrf", "")}):
            return PlainTextResponse("the page was out of date\n", 403, headers=NO_STORE)
        if not known or not body.startswith(JPEG_START):
            return PlainTextResponse("no such hazard, or no JPEG picture\n", 400, headers=NO_STORE)
        self._desk.keep_photo(handle, body)
        data = {"bytes": len(body), "hazard": handle, "sha256": hashlib.sha256(body).hexdigest()}
        await self.note("hazard.photo", session.account.handle, data)
        return Response(status_code=204, headers=NO_STORE)

    # ── accounts ───────────────────────────────────────────────────────────────────────────────────────────────

    async def accounts_page(self, request: Request) -> Response:
        """For the head of security: who may log in, codes for new ones, the end of old ones."""
        session = self._session(request)
        if session is None or session.account.role is not Role.HEAD:
            return _to(HOME)
        done, why = Changed(), ""
        if request.method == "POST":
            fields = _form(request)
            try:
                done, why = (await self._change(session, fields), "") if _is_of(session, fields) else (done, "csrf")
            except BadAccount as bad:
                why = str(bad.args[0])
            if self._session(request) is None:  # removed by its own hand
                return _to(HOME)
        accounts = self.accounts.all()
        return self._page(request, "console_accounts", session=session, accounts=accounts, done=done, why=why)

    async def _change(self, session: Session, fields: dict[str, str]) -> Changed:
        """Make a code, or remove an account, which is asked about first. Raises BadAccount."""
        if handle := fields.get("remove", ""):
            if fields.get("sure") != handle:
                return Changed(asked=self.accounts.removable(handle))
            gone = self.accounts.remove(handle)
            self.sessions.end_of(gone.handle)
            await self.note("account.removed", session.account.handle, {"account": gone.handle})
            return Changed(gone=gone)
        try:
            role = Role(fields.get("role", ""))
        except ValueError:
            raise BadAccount("role") from None
        await self.note("account.code", session.account.handle, {"role": role.value})
        return Changed(code=self.accounts.make_code(role, wall_ms()))

    # ── the rest ───────────────────────────────────────────────────────────────────────────────────────────────

    async def authority(self, request: Request) -> Response:
        """The certificate a tablet is to trust."""
        try:
            body = (self._desk.folder / certificate.AUTHORITY).read_bytes()
        except OSError:
            return PlainTextResponse("there is nothing here\n", 404, headers=NO_STORE)
        headers = NO_STORE | {"content-disposition": 'attachment; filename="menwei-box.crt"'}
        return Response(body, media_type="application/x-x509-ca-cert", headers=headers)

    async def asset(self, request: Request) -> Response:
        return assets.respond(self._assets, request)

    async def note(self, kind: str, actor: str, data: dict[str, Any]) -> None:
        """One record. While control is away there is none to be had: the gate is more urgent than its book."""
        message = {"op": "note", "kind": kind, "subject": "console", "actor": actor, "data": data}
        try:
            answer = await self._link.request(message)
        except ControlAway as error:
            log.error("%s by %s could not be written down: %s", kind, actor, error)
            return
        if answer.get("ok") is not True:
            log.error("%s by %s was not written down: %s", kind, actor, answer.get("why"))

    def _page(self, request: Request, template: str, status: int = 200, **values: object) -> Response:
        language = language_of(request)
        told = values.get("why")
        why = told if isinstance(told, str) else ""
        values |= {"why_text": self._pages.why(language, why) if why else "", "at": at_fault(why)}
        values["typed"] = _form(request) if request.method == "POST" else {}
        html = self._pages.page(
            template, language, build=self._build, language_href=other_language(request, language), **values
        )
        response = Response(html, status, media_type="text/html", headers=NO_STORE)
        if request.query_params.get("lang") == language:
            response.set_cookie(LANGUAGE_COOKIE, language, max_age=LANGUAGE_S, httponly=True, samesite="lax")
        return response


def _state(view: ConsoleView) -> str:
    return "alarm" if view.p.panic.latched or view.p.fire.latched else str(view.verdict.state)


def _form(request: Request) -> dict[str, str]:
    """The fields of a form that `Front` has read. A field that comes twice counts once, the first time."""
    raw: bytes = request.scope.get("form", b"")
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=64, errors="strict")
    except (UnicodeDecodeError, ValueError):
        return {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _is_of(session: Session, fields: dict[str, str]) -> bool:
    return secrets.compare_digest(session.csrf.encode(), fields.get("csrf", "").encode())


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""


def _home(place: str) -> str:
    return f"{HOME}#{place}" if place.isascii() and place.isalpha() else HOME


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, headers=NO_STORE)


def _to_login(request: Request) -> Response:
    """A browser that was logged in is told that it is no longer, and whether that cost it a form."""
    ended = "form" if request.method == "POST" else "page"
    return _to(f"{HOME}/login?ended={ended}" if COOKIE in request.cookies else f"{HOME}/login")


def make_console(console: Console, names: frozenset[str]) -> App:
    """The console as an ASGI app, with its front. `names` are the hosts it answers to."""
    handlers: dict[Any, Any] = {404: nothing, 405: nothing, 500: broken}
    return Front(Starlette(routes=console.routes(), exception_handlers=handlers), names)
