"""Requests drawn from docs/openapi.json, right and wrong ones, against the real role on a real port: each answer is one
that the document describes, and no request brings a page to its knees."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
import web_scenes as scenes
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from web_rig import Rig, listening

from agent.web.console.serve import ConsoleServer
from agent.web.listen import Address, bind
from agent.web.server import config
from sim.ports import free_port

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text("utf-8"))
# The stream never ends by itself; tests of the role listen to it.
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT).exclude(path="/api/v1/stream")
CHECKS = [schemathesis.checks.not_a_server_error, status_code_conformance, content_type_conformance]
CHECKS += [response_schema_conformance]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages on a port of their own, in a thread: these clients are not asynchronous."""
    made: list[uvicorn.Server] = []
    port = free_port()
    started = threading.Event()

    async def serve() -> None:
        rig = Rig(tmp_path_factory.mktemp("web"))
        rig.show(scenes.normal(rig.site))
        server = ConsoleServer(config(rig.app))
        made.append(server)
        serving = asyncio.create_task(server.serve(bind([Address("127.0.0.1", port)])))
        await listening(port)
        started.set()
        await serving
        rig.ledger.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(20)
    yield f"http://127.0.0.1:{port}"
    made[0].should_exit = True
    thread.join(20)


@SCHEMA.parametrize()
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_described(case: schemathesis.Case[Any], url: str) -> None:
    response = case.call(base_url=url, allow_redirects=False)
    case.validate_response(response, checks=CHECKS)


def test_the_role_still_answers_after_all_that(url: str) -> None:
    assert httpx.get(f"{url}/healthz").json()["ok"] is True
