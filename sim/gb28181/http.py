"""The GB/T 28181 platform's page for people, and its verbs for programs."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sim import bare_page
from sim.gb28181.platform import CONTROLS, LIES, QUERIES, Platform


def make_app(platform: Platform) -> Starlette:
    """`/` for people; `/messages`; `POST /lie {"kind","count"}`; `POST /ask {"what"}`; `POST /forget`."""

    async def messages(request: Request) -> Response:
        return JSONResponse(told(platform))

    async def lie(request: Request) -> Response:
        wish = await request.json()
        if wish.get("kind") not in LIES:
            return JSONResponse({"error": f"kind is one of {', '.join(LIES)}"}, status_code=400)
        platform.lie, platform.lies_left = wish["kind"], int(wish.get("count", 1))
        return JSONResponse({"ok": True})

    async def ask(request: Request) -> Response:
        what = (await request.json()).get("what")
        if what not in (*QUERIES, *CONTROLS):
            return JSONResponse({"error": f"what is one of {', '.join((*QUERIES, *CONTROLS))}"}, status_code=400)
        return JSONResponse({"sn": platform.query(what)})

    async def forget(request: Request) -> Response:
        platform.forget()
        return JSONResponse({"ok": True})

    async def page(request: Request) -> Response:
        return HTMLResponse(_page(platform))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/messages", messages),
            Route("/lie", lie, methods=["POST"]),
            Route("/ask", ask, methods=["POST"]),
            Route("/forget", forget, methods=["POST"]),
        ]
    )


def told(platform: Platform) -> dict[str, Any]:
    """All it knows."""
    return {
        "messages": platform.alarms,
        "answers": platform.answers,
        "keepalives": platform.keepalives,
        "options": platform.options,
        "registrations": platform.registrations,
        "refused": platform.refused[-20:],
    }


def _page(platform: Platform) -> str:
    rows = (
        [a["at"], str(a["priority"]), a["words"], a["device"], "演练 drill" if a["drill"] else ""]
        for a in platform.alarms
    )
    return bare_page.page(
        "公安平台 · Police platform (GB/T 28181)",
        f"心跳 keepalives: {platform.keepalives}",
        ("时间 Time", "级别 Priority", "报警 Alarm", "设备 Device", ""),
        rows,
        "还没有报警 No alarm yet",
    )
