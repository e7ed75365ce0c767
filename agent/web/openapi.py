"""`docs/openapi.json`, made from what is really served: `python -m agent.web.openapi > docs/openapi.json`."""

from __future__ import annotations

import json
import sys
from typing import Any

import msgspec

from agent.locale import LANGUAGES
from agent.web.app import Health
from agent.web.kinds import GROUPS
from agent.web.render import PARTS
from agent.web.reports import TYPES
from agent.web.stream import State

Json = dict[str, Any]
_REF = "#/components/schemas/{name}"


def document() -> Json:
    """The whole description, OpenAPI 3.1."""
    (state, health), schemas = msgspec.json.schema_components((State, Health), ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Menwei status page",
            "version": "1",
            "description": "Read-only: only GET and HEAD are answered, nothing here moves anything. A request needs "
            "one Host header naming this box and may carry no body.",
        },
        "paths": _pages() | _programs(state, health),
        "components": {"schemas": schemas},
    }


def _pages() -> Json:
    language = _query("lang", "language of the page", {"enum": list(LANGUAGES)})
    return {
        "/": _get("The status page", {"200": _content("text/html")}, [language]),
        "/guard": _get(
            "The way to the guard console, where the site has one: another port, HTTPS, logged in",
            {"307": {"description": "to https://…/guard"}, "404": _content("text/plain")},
        ),
        "/devices": _get("Every device, in full", {"200": _content("text/html")}, [language]),
        "/schedule": _get("Today: who may pass when", {"200": _content("text/html")}, [language]),
        "/events": _get(
            "Records in words, newest first",
            {"200": _content("text/html"), "404": _content("text/plain"), "503": _content("text/plain")},
            [
                language,
                _query("group", "only this group", {"enum": list(GROUPS)}),
                *_search(),
                _query("before", "only records older than this seq", {"type": "integer", "minimum": 0}),
                _query("cause", "epoch-seq: this record, what led to it and what followed", {"type": "string"}),
            ],
        ),
        "/reports": _get("The months there are reports of", {"200": _content("text/html")}, [language]),
    }


def _search() -> list[Json]:
    day = {"type": "string", "format": "date"}
    return [
        _query("q", "only records whose line holds these words, as it is shown", {"type": "string", "maxLength": 30}),
        _query("from", "from this day on, in the site's time zone", day),
        _query("to", "up to this day, itself included", day),
    ]


def _programs(state: Json, health: Json) -> Json:
    json_health = {"schema": health}
    language = _query("lang", "language of the table", {"enum": list(LANGUAGES)})
    group = _query("group", "only this group", {"enum": list(GROUPS)})
    return {
        "/events.csv": _get(
            "The newest 5000 such records in words, as a table",
            {"200": _content("text/csv"), "404": _content("text/plain"), "503": _content("text/plain")},
            [language, group, *_search()],
        ),
        "/reports/{month}.html": _report("The report of a month, for paper", "text/html"),
        "/reports/{month}.xlsx": _report("The report of a month as a workbook", TYPES["xlsx"]),
        "/reports/{month}.csv": _report(
            "One table of the report of a month",
            "text/csv",
            _query("table", "which one, as `docs/reports.md` names them", {"type": "string"}),
        ),
        "/api/v1/state": _get("The picture of the gate", {"200": _content("application/json", {"schema": state})}),
        "/api/v1/stream": _get(
            "Server-sent events: without `page` an event `state` at once and after each change (data as of "
            "/api/v1/state) and `beat` every 2 s; with `page`, the parts of that page as `parts`",
            {"200": _content("text/event-stream"), "404": _content("text/plain"), "503": _content("text/plain")},
            [
                _query("page", "parts of this page instead of the state", {"enum": list(PARTS)}),
                _query("lang", "language of the parts", {"enum": list(LANGUAGES)}),
            ],
        ),
        "/healthz": _get(
            "Healthy only when a round trip through the control program has just finished",
            {"200": _content("application/json", json_health), "503": _content("application/json", json_health)},
        ),
        "/metrics": _get("Prometheus text", {"200": _content("text/plain")}),
    }


def _get(summary: str, responses: Json, parameters: list[Json] | None = None) -> Json:
    refused = {code: _content("text/plain") for code in ("400", "403", "413", "421", "431")}
    operation: Json = {"summary": summary, "responses": dict(sorted((refused | responses).items()))}
    if parameters:
        operation["parameters"] = parameters
    return {"get": operation}


def _report(summary: str, media_type: str, *more: Json) -> Json:
    """Each answer with a report in it is a record in the journal first."""
    month = {"type": "string", "pattern": "^2[0-9]{3}-(0[1-9]|1[0-2])$"}
    path = {"name": "month", "in": "path", "required": True, "description": "in local time", "schema": month}
    language = _query("lang", "language of the report", {"enum": list(LANGUAGES)})
    plain = {code: _content("text/plain") for code in ("404", "503")}
    return _get(summary, {"200": _content(media_type), **plain}, [path, language, *more])


def _content(media_type: str, body: Json | None = None) -> Json:
    return {"description": _DESCRIPTIONS.get(media_type, "as told"), "content": {media_type: body or {}}}


_DESCRIPTIONS = {
    "text/html": "a page",
    "text/csv": "a table, UTF-8 with a mark",
    TYPES["xlsx"]: "a workbook",
    "application/json": "JSON",
    "text/event-stream": "events until the listener hangs up",
    "text/plain": "text",
}


def _query(name: str, text: str, schema: Json) -> Json:
    kind = {"type": "string"} | schema
    return {"name": name, "in": "query", "required": False, "description": text, "schema": kind}


def text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
