"""The report of one drill, made of the journal's records alone, so that anybody who has them can make it again.

A report file is one line of canonical JSON, `{"report":{…},"signature":"<base64>"}`. The signature is Ed25519 by the
box's journal key over SIGNED_AS and the canonical report: keys sorted, no spaces, no floats (`docs/drills.md`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from agent.core.strange import NOT_JSON
from agent.journal.keys import BoxKey, signed_by

FORMAT = "menwei-drill-report/1"
SIGNED_AS = FORMAT.encode() + b"\n"  # what this key signs besides, checkpoints, begins otherwise
MOST_BYTES = 1 << 20
Body: TypeAlias = Mapping[str, Any]  # a record of the journal, decoded
Ref: TypeAlias = tuple[int, int]

_canonical = msgspec.json.Encoder(order="sorted").encode


class BadReport(Exception):
    """A file that is no report, or one that its signature does not cover. The text says so in field words."""


# ── making ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def ident(started: Ref) -> str:
    """A drill's name: its announcement's epoch and number."""
    return f"{started[0]}-{started[1]}"


def build(bodies: Sequence[Body], started: Ref) -> dict[str, Any] | None:
    """The report of the drill announced by the record `started`, from the records from there on (others may stand
    among them). None while the drill has not ended in them."""
    found = {_ref(body): body for body in bodies}
    first = found.get(started)
    over = next((b for b in bodies if b["kind"] == "drill.ended" and b["data"].get("started") == list(started)), None)
    if first is None or over is None:
        return None
    running = _caused(bodies, "drill.running", started, _ref(over))
    presses = [body for body in bodies if _is_press(body, first, running, over)]
    return {
        "announced": {
            "at": first["at"],
            "ref": list(started),
            "stages": _stages(bodies, first),
            "unanswered": any(b["kind"] == "drill.unanswered" and b["cause"] == list(started) for b in bodies),
        },
        "began": None if running is None else _began(running),
        "button": first["data"]["button"],
        "ended": {"actor": over["actor"], "at": over["at"], "ref": list(_ref(over)), "why": over["data"]["why"]},
        "format": FORMAT,
        "id": ident(started),
        "minutes": first["data"]["minutes"],
        "operator": first["actor"],
        "presses": [_press(body, bodies) for body in presses],
        "reason": first["data"]["reason"],
        "site_box": first["site_box"],
        "told": _told(bodies, [first, *presses]),
    }


def _ref(body: Body) -> Ref:
    return (body["epoch"], body["seq"])


def _caused(bodies: Iterable[Body], kind: str, start: Ref, end: Ref) -> Body | None:
    return next((body for body in bodies if body["kind"] == kind and start < _ref(body) < end), None)


def _began(running: Body) -> dict[str, Any]:
    data = running["data"]
    return {
        "actor": running["actor"],
        "answered": data["answered"],
        "at": running["at"],
        "ref": list(_ref(running)),
        "waited_ms": data["waited_ms"],
    }


def _is_press(body: Body, first: Body, running: Body | None, over: Body) -> bool:
    """The drill's presses, and a real one that ended it."""
    if body["kind"] != "panic.pressed" or running is None or not _ref(running) < _ref(body) < _ref(over):
        return False
    ours: bool = body["data"]["button"] == first["data"]["button"]
    return ours if body["data"]["drill"] else list(_ref(body)) == over["cause"]


def _press(body: Body, bodies: Iterable[Body]) -> dict[str, Any]:
    """One press: its hops in microseconds from the edge, and how far it came on each path."""
    ref = list(_ref(body))
    measured = next((b for b in bodies if b["kind"] == "panic.latency" and b["data"].get("press") == ref), None)
    hops = {} if measured is None else {name: us for name, us in measured["data"].items() if name.endswith("_us")}
    return {
        "at": body["at"],
        "button": body["data"]["button"],
        "drill": body["data"]["drill"],
        "hops": hops,
        "ref": ref,
        "stages": _stages(bodies, body),
    }


def _stages(bodies: Iterable[Body], alarm: Body) -> list[dict[str, Any]]:
    """How an alarm came further, in order; `after_ms` counts from its record."""
    return [
        {
            "after_ms": (body["mono_ns"] - alarm["mono_ns"]) // 1_000_000,
            "at": body["at"],
            "by": body["data"]["by"],
            "path": body["data"]["path"],
            "stage": body["data"]["stage"],
        }
        for body in bodies
        if body["kind"] == "alarm.stage" and body["cause"] == list(_ref(alarm))
    ]


def _told(bodies: Iterable[Body], alarms: Iterable[Body]) -> list[dict[str, str]]:
    """Who has confirmed anything, by path and name: whoever it says is there."""
    heard = {
        (stage["path"], stage["by"])
        for alarm in alarms
        for stage in _stages(bodies, alarm)
        if stage["stage"] not in ("queued", "sent")
    }
    return [{"by": by, "path": path} for path, by in sorted(heard)]


# ── signing and reading ────────────────────────────────────────────────────────────────────────────────────────────


def seal(report: dict[str, Any], key: BoxKey) -> bytes:
    """The report's file."""
    signature = base64.b64encode(key.sign(SIGNED_AS + _canonical(report))).decode()
    return _canonical({"report": report, "signature": signature}) + b"\n"


def digest(data: bytes) -> str:
    """What the journal's `drill.report` record says of a file."""
    return hashlib.sha256(data).hexdigest()


def opened(data: bytes, public: bytes | None) -> dict[str, Any]:
    """The report in a file, its signature checked against `public` (None: not checked). Raises BadReport."""
    if len(data) > MOST_BYTES:
        raise BadReport("this file is far too large for a report")
    try:
        told = msgspec.json.decode(data)
        report, signature = told["report"], base64.b64decode(told["signature"], validate=True)
        if report["format"] != FORMAT:
            raise BadReport(f"this is no report of the kind {FORMAT}")
    except (*NOT_JSON, KeyError, TypeError, ValueError, binascii.Error):
        raise BadReport("this file is no drill report, or it is damaged") from None
    one_form = told["signature"] == base64.b64encode(signature).decode()  # base64 has spare bits at its end
    if not one_form or _canonical(told) + b"\n" != data:
        raise BadReport("this file was written by somebody else: it is not in the one form a box writes")
    if public is not None and not signed_by(public, signature, SIGNED_AS + _canonical(report)):
        raise BadReport("the signature is wrong: the report was changed, or it is of another box")
    made: dict[str, Any] = report
    return made
