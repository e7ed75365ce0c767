"""The web role's addresses: what is answered where. Everything is a GET; nothing here changes anything."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from agent.journal.reader import Row
from agent.locale import DEFAULT, LANGUAGES
from agent.picture import Ref
from agent.reports.layout import titles
from agent.web import assets, kinds, metrics, reports, search
from agent.web.feed import Feed
from agent.web.guard import App, Guard
from agent.web.ledger import PAGE, Busy, Ledger
from agent.web.listen import parse
from agent.web.render import PARTS, Renderer
from agent.web.stream import Streams, state
from agent.web.words import Words
from hardware.site import Site

NO_STORE = {"cache-control": "no-store"}
STREAM_HEADERS = NO_STORE | {"x-accel-buffering": "no"}
REF = re.compile(r"([0-9]{1,9})-([0-9]{1,18})")
SEQ = re.compile(r"[0-9]{1,18}")
COOKIE = "language"
COOKIE_S = 365 * 86_400
_encode = msgspec.json.Encoder().encode


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`ok` only when a round trip through control has just finished; `why` tells why not."""

    ok: bool
    why: str = ""


class Pages:
    """The handlers, over one feed and one ledger."""

    def __init__(self, site: Site, feed: Feed, ledger: Ledger) -> None:
        self._site = site
        self.feed = feed
        self.ledger = ledger
        self.assets = assets.load()
        self.build = assets.fingerprint(self.assets)
        self.renderer = Renderer(feed, ledger, site)
        self.streams = Streams(feed, self.renderer, self.build)
        self.reports = reports.Reports(site, feed.note)

    def routes(self) -> list[Route]:
        return [
            Route("/", self.status),
            Route("/devices", self.devices),
            Route("/schedule", self.schedule),
            Route("/events", self.events),
            Route("/events.csv", self.events_csv),
            Route("/reports", self.reports_page),
            Route("/reports/{month}.html", self.report_page),
            Route("/reports/{month}.xlsx", self.report_workbook),
            Route("/reports/{month}.csv", self.report_table),
            Route("/api/v1/state", self.state),
            Route("/api/v1/stream", self.stream),
            Route("/guard", self.guard),
            Route("/healthz", self.health),
            Route("/metrics", self.metrics),
            Route("/static/{name}", self.asset),
        ]

    # ── pages ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def status(self, request: Request) -> Response:
        return await self._page("status", request)

    async def devices(self, request: Request) -> Response:
        return await self._page("devices", request)

    async def schedule(self, request: Request) -> Response:
        return await self._page("schedule", request)

    async def events(self, request: Request) -> Response:
        """Records, newest first: `group`, `q`, `from`, `to` choose, `before` pages on, `cause` follows one record."""
        cause = _ref(request.query_params.get("cause", ""))
        words = self.renderer.words[language_of(request)]
        query, wrong = _query(request, words)
        if query.group and query.group not in kinds.GROUPS:
            return PlainTextResponse("no such group of records\n", 404, headers=NO_STORE)
        if cause is not None:
            found, on = await self.ledger.around(cause), 0
        else:
            found, on = await self._found(query, words, request.query_params.get("before", ""), PAGE)
        more = {
            "lines": tuple(kinds.line(row, words) for row in found),
            "query": query,
            "wrong": wrong,
            "cause": "" if cause is None else f"{cause[0]}-{cause[1]}",
            "older": _link("/events", query, on) if on else "",
            "export": _link("/events.csv", query, 0),
        }
        return await self._page("events", request, **more)

    async def events_csv(self, request: Request) -> Response:
        """The same records, as many as an office program opens at once."""
        words = self.renderer.words[language_of(request)]
        query, wrong = _query(request, words)
        if wrong or (query.group and query.group not in kinds.GROUPS):
            return PlainTextResponse("no such day or group of records\n", 404, headers=NO_STORE)
        found, _ = await self._found(query, words, "", search.CSV_ROWS)
        body = search.to_csv((kinds.line(row, words) for row in found), words)
        headers = NO_STORE | {"content-disposition": 'attachment; filename="records.csv"'}
        return Response(body, media_type="text/csv", headers=headers)

    async def reports_page(self, request: Request) -> Response:
        """The months there are reports of."""
        why = ""
        try:
            found = await self.reports.months()
        except reports.NoReport as error:
            found, why = (), str(error)
        speech = self.renderer.speech(language_of(request))
        return await self._page("reports", request, months=found, why=why, tables_of=titles(speech))

    async def report_page(self, request: Request) -> Response:
        return await self._report(request, "html", {"content-security-policy": reports.POLICY})

    async def report_workbook(self, request: Request) -> Response:
        return await self._report(request, "xlsx", {})

    async def report_table(self, request: Request) -> Response:
        return await self._report(request, "csv", {})

    async def _report(self, request: Request, form: str, more: dict[str, str]) -> Response:
        """One month's report. Whoever only asks for the head looks at nothing."""
        headers = NO_STORE | more
        if request.method == "HEAD":
            return Response(media_type=reports.TYPES[form], headers=headers)
        month, table = request.path_params["month"], request.query_params.get("table", "")
        try:
            name, data = await self.reports.file(month, form, language_of(request), table)
        except reports.NoReport as error:
            wait = {"retry-after": "60"} if error.status == 503 else {}
            told = self.renderer.words[language_of(request)].reason(str(error))
            return PlainTextResponse(f"{told}\n", error.status, headers=NO_STORE | wait)
        if form != "html":
            headers = headers | {"content-disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type=reports.TYPES[form], headers=headers)

    async def _found(self, query: search.Query, w: Words, before: str, limit: int) -> tuple[tuple[Row, ...], int]:
        """Rows, and the seq to go on before (0: there are no more)."""
        wanted = kinds.kinds_of(query.group) or None
        start = int(before) if SEQ.fullmatch(before) else None
        if query.narrow or limit > PAGE:
            return await self.ledger.matching(wanted, start, lambda row: search.is_wanted(row, query, w), limit)
        found = await self.ledger.page(wanted, start)
        return found, found[-1].seq if len(found) == PAGE else 0

    async def guard(self, request: Request) -> Response:
        """The way to the guard console, which has a port and a log-in of its own."""
        if not self._site.web.guard_listen:
            return PlainTextResponse(
                "this box has no guard console: see guard_listen in [web]\n", 404, headers=NO_STORE
            )
        port = parse(self._site.web.guard_listen[0]).port
        return RedirectResponse(f"https://{request.url.hostname}:{port}/guard", 307, headers=NO_STORE)

    async def _page(self, name: str, request: Request, **more: object) -> Response:
        language = language_of(request)
        rendered = await self.renderer.parts(name, language)
        html = self.renderer.page(
            name,
            language,
            rendered,
            title=rendered.head["title"],
            build=self.build,
            mono_ms=self.feed.mono_ms(),
            stream=f"/api/v1/stream?page={name}&lang={language}",
            language_href=other_language(request, language),
            **more,
        )
        response = Response(html, media_type="text/html", headers=NO_STORE)
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(COOKIE, language, max_age=COOKIE_S, httponly=True, samesite="lax")
        return response

    async def asset(self, request: Request) -> Response:
        return assets.respond(self.assets, request)

    # ── for programs ───────────────────────────────────────────────────────────────────────────────────────────

    async def state(self, request: Request) -> Response:
        return Response(_encode(state(self.feed)), media_type="application/json", headers=NO_STORE)

    async def stream(self, request: Request) -> Response:
        page = request.query_params.get("page")
        language = language_of(request)
        if page is not None and page not in PARTS:
            return PlainTextResponse("there is no such page\n", 404, headers=NO_STORE)
        if self.streams.full:
            return PlainTextResponse("too many pages are open\n", 503, headers=NO_STORE | {"retry-after": "5"})
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=STREAM_HEADERS)
        told = self.streams.states() if page is None else self.streams.parts(page, language)
        return StreamingResponse(_with_retry(told), media_type="text/event-stream", headers=STREAM_HEADERS)

    async def health(self, request: Request) -> Response:
        why = await self.feed.ping()
        told = Health(ok=not why, why=why)
        return Response(_encode(told), 503 if why else 200, media_type="application/json", headers=NO_STORE)

    async def metrics(self, request: Request) -> Response:
        return Response(metrics.render(self.feed), headers=NO_STORE | {"content-type": metrics.TYPE})


async def _with_retry(told: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """A browser that lost us tries again after a second."""
    async with aclosing(told) as lines:
        yield b"retry: 1000\n\n"
        async for line in lines:
            yield line


def language_of(request: Request) -> str:
    """`lang` of the query, else the cookie, else the default."""
    for wanted in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        if wanted in LANGUAGES:
            return str(wanted)
    return DEFAULT


def other_language(request: Request, language: str) -> str:
    """This page in the other language."""
    other = next(name for name in LANGUAGES if name != language)
    return "?" + str(request.url.include_query_params(lang=other).query)


def _ref(text: str) -> Ref | None:
    match = REF.fullmatch(text)
    return None if match is None else (int(match[1]), int(match[2]))


def _query(request: Request, w: Words) -> tuple[search.Query, str]:
    """What is looked for, and the day that is none, "" = all are days."""
    try:
        return search.read(request.query_params, w), ""
    except search.BadDay as error:
        return search.Query(), str(error)


def _link(path: str, query: search.Query, before: int) -> str:
    fields = query.fields() | ({"before": str(before)} if before else {})
    return f"{path}?{urlencode(fields)}" if fields else path


async def nothing(request: Request, error: Exception) -> Response:
    return PlainTextResponse("there is nothing here\n", 404, headers=NO_STORE)


async def busy(request: Request, error: Exception) -> Response:
    headers = NO_STORE | {"retry-after": "5"}
    return PlainTextResponse("others are searching the records: try again in a moment\n", 503, headers=headers)


async def broken(request: Request, error: Exception) -> Response:
    return PlainTextResponse("this page has failed; the gate is not concerned\n", 500, headers=NO_STORE)


def make_app(pages: Pages, names: frozenset[str]) -> App:
    """The whole web role as an ASGI app, guarded. `names` are the hosts it answers to."""
    handlers: dict[Any, Any] = {404: nothing, 500: broken, Busy: busy}
    return Guard(Starlette(routes=pages.routes(), exception_handlers=handlers), names)
