"""What an operator sees of the district, as JSON and as one page. Reads the database on connections of its own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from sim.district_store import STAGES, Box, now_ms
from sim.district_wire import Wire
from sim.district_writer import Writer
from sim.orders import LIES, VALID_S, Signer

PAGE = Path(__file__).with_name("district_page.html")
MAX_ROWS = 10_000
Rows: TypeAlias = list[dict[str, Any]]


class Mistake(Exception):
    """A request that cannot be answered; the text tells the caller what would be right."""


class Commander:
    """Gives boxes signed commands, where the district has a key."""

    def __init__(self, signer: Signer | None, wire: Wire) -> None:
        self._signer = signer
        self._wire = wire

    @property
    def signs(self) -> bool:
        return self._signer is not None

    def give(self, box: str, verb: str, args: dict[str, str], valid_s: float, lie: str) -> str:
        """Sign and send; returns the command's id. Raises Mistake."""
        if self._signer is None:
            raise Mistake("this district has no key to sign with: start it with --command-key")
        payload = self._signer.payload(box, verb, args, valid_s, lie)
        if not self._wire.command(box, payload, retain=lie == "retained"):
            raise Mistake("there is no broker now, and a command does not wait for one")
        return "" if lie == "malformed" else str(json.loads(payload)["id"])


def make_app(writer: Writer, db: Path, connected: Callable[[], bool], commander: Commander | None = None) -> Starlette:
    """The application: `/`, `/boxes`, `/alarms`, `/records`, `/stage`, `/command`."""
    app = Starlette(
        routes=[
            Route("/", _page),
            Route("/boxes", _boxes),
            Route("/alarms", _alarms),
            Route("/records", _records),
            Route("/stage", _stage, methods=["POST"]),
            Route("/command", _command, methods=["POST"]),
        ],
        exception_handlers={Mistake: _mistake},
    )
    app.state.writer, app.state.db, app.state.connected = writer, db, connected
    app.state.commander = commander
    return app


async def _mistake(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)


async def _page(request: Request) -> Response:
    return FileResponse(PAGE, media_type="text/html", headers={"Cache-Control": "no-cache"})


async def _boxes(request: Request) -> Response:
    writer: Writer = request.app.state.writer
    holes = await asyncio.to_thread(_holes, request.app.state.db)
    boxes = list(writer.store.boxes.values()) if writer.store is not None else []
    return JSONResponse(
        {
            "connected": request.app.state.connected(),
            "commands": request.app.state.commander is not None and request.app.state.commander.signs,
            "now_ms": now_ms(),
            "garbage": writer.garbage,
            "last_garbage": writer.last_garbage,
            "dropped": writer.dropped,
            "boxes": [_box(box, holes.get(box.id, [])) for box in boxes],
        }
    )


def _box(box: Box, holes: Rows) -> dict[str, Any]:
    gap = box.gap
    return {
        "site": box.site,
        "box": box.name,
        "online": box.online,
        "position": {"epoch": box.position[0], "seq": box.position[1]},
        "records": box.live + box.late,
        "live": box.live,
        "late": box.late,
        "duplicates": box.duplicates,
        "conflicts": box.conflicts,
        "gaps": box.gaps,
        "gap": None if gap is None else {"after": gap.after, "seen": gap.seen, "since_ms": gap.since_ms},
        "holes": holes,
        "garbage": box.garbage,
        "last_heard_ms": box.last_heard_ms,
        "last_receipt_ms": box.last_receipt_ms,
        "state": box.state,
    }


async def _alarms(request: Request) -> Response:
    return JSONResponse({"now_ms": now_ms(), "alarms": await asyncio.to_thread(_read_alarms, request.app.state.db)})


async def _records(request: Request) -> Response:
    site, box = _box_of(request.query_params.get("box", ""))
    since, limit = (_number(request, name, default) for name, default in (("since", 0), ("limit", 1000)))
    if not 0 < limit <= MAX_ROWS:
        raise Mistake(f"limit is 1 to {MAX_ROWS}")
    rows = await asyncio.to_thread(_read_records, request.app.state.db, site, box, since, limit)
    return JSONResponse({"records": rows})


async def _stage(request: Request) -> Response:
    try:
        wish = json.loads(await request.body())
        site, box = _box_of(str(wish["box"]))
        ref = (int(wish["epoch"]), int(wish["seq"]))
        stage, by = str(wish["stage"]), str(wish.get("by", "operator"))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Mistake('wanted: {"box": "site/box", "epoch": 1, "seq": 2, "stage": "coming"}') from None
    if stage not in STAGES:
        raise Mistake(f"stage is one of {', '.join(STAGES)}")
    writer: Writer = request.app.state.writer
    return JSONResponse({"changed": await asyncio.wrap_future(writer.click(site, box, ref, stage, by))})


async def _command(request: Request) -> Response:
    """`{"box","verb","args"}`, with `valid_s` and a `lie` on wish."""
    try:
        wish = json.loads(await request.body())
        box = "/".join(_box_of(str(wish["box"])))
        args = {str(name): str(value) for name, value in dict(wish.get("args", {})).items()}
        verb, valid_s, lie = str(wish["verb"]), float(wish.get("valid_s", VALID_S)), str(wish.get("lie", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Mistake('wanted: {"box": "site/box", "verb": "lockdown", "args": {}}') from None
    if lie and lie not in LIES:
        raise Mistake(f"lie is one of {', '.join(LIES)}")
    commander: Commander | None = request.app.state.commander
    if commander is None:
        raise Mistake("this district gives no commands")
    return JSONResponse({"id": commander.give(box, verb, args, valid_s, lie)})


def _box_of(text: str) -> tuple[str, str]:
    site, slash, box = text.partition("/")
    if not (site and slash and box):
        raise Mistake("box is written site/box, as in dongfang-primary/gate-1")
    return site, box


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or len(text) > 18:
        raise Mistake(f"{name} is a whole number")
    return int(text)


def _open(db: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(db, timeout=5)
    connection.execute("PRAGMA query_only=1")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.row_factory = sqlite3.Row
    return connection


def _holes(db: Path) -> dict[int, Rows]:
    found: dict[int, Rows] = {}
    with closing(_open(db)) as connection:
        for row in connection.execute(
            "SELECT box, epoch, first, last, seen_ms FROM hole ORDER BY rowid DESC LIMIT 1000"
        ):
            found.setdefault(row["box"], []).append({key: row[key] for key in ("epoch", "first", "last", "seen_ms")})
    return found


def _read_alarms(db: Path) -> Rows:
    with closing(_open(db)) as connection:
        rows = connection.execute(
            "SELECT box.site, box.name AS box, alarm.epoch, alarm.seq, lane, stage, by, received_ms, stage_ms, copies,"
            " body FROM alarm JOIN box ON box.id = alarm.box ORDER BY received_ms DESC LIMIT 200"
        ).fetchall()
    return [_row(row) for row in rows]


def _read_records(db: Path, site: str, box: str, since: int, limit: int) -> Rows:
    with closing(_open(db)) as connection:
        rows = connection.execute(
            "SELECT epoch, seq, lane, received_ms, body FROM record"
            " WHERE box=(SELECT id FROM box WHERE site=? AND name=?) AND seq>? ORDER BY epoch, seq LIMIT ?",
            (site, box, since, limit),
        ).fetchall()
    return [_row(row) for row in rows]


def _row(row: sqlite3.Row) -> dict[str, Any]:
    """A row with its body parsed as `record`."""
    out = {key: row[key] for key in row.keys() if key != "body"}  # noqa: SIM118  # a row's values are what iterating it gives
    return out | {"record": json.loads(row["body"])}
