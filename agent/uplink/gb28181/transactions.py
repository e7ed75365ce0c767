"""Requests and their answers, both ways (RFC 3261, 17), as far as REGISTER, MESSAGE and OPTIONS need it.

Over UDP a request is repeated until it is answered, and a request that arrives again gets the same answer again and is
carried out once. What fits to nothing is counted and dropped; nothing a peer sends raises an error here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable

import msgspec

from agent.uplink.gb28181.sip import (
    MAGIC,
    BadMessage,
    Request,
    Response,
    answer_to,
    decode,
    encode,
    tag_of,
)
from agent.uplink.gb28181.wire import Wire

T1_S = 0.5  # RFC 3261, 17.1.1.1 (V)
T2_S = 4.0  # RFC 3261, 17.1.2.2 (V)
TIMER_F_S = 64 * T1_S  # so long a request is tried (V)
TIMER_J_S = 64 * T1_S  # so long an answer is kept for repetitions (V)
KEEP_ANSWERS = 256  # D: beyond, the oldest is forgotten

log = logging.getLogger(__name__)


class NoAnswer(Exception):
    """No final response in time."""


class _Open(msgspec.Struct):
    """A request of ours that is not answered yet. `trying`: the peer has it and asks for patience."""

    request: Request
    answer: asyncio.Future[Response]
    trying: bool = False


class _Answered(msgspec.Struct):
    data: bytes
    until: float


class Transactions:
    """Everything that is under way on one wire. `serve` answers a request; what it raises is answered with 500."""

    def __init__(self, serve: Callable[[Request], Response]) -> None:
        self._serve = serve
        self._wire: Wire | None = None
        self._open: dict[str, _Open] = {}
        self._answered: OrderedDict[tuple[str, ...], _Answered] = OrderedDict()
        self.dropped: Counter[str] = Counter()

    def use(self, wire: Wire) -> None:
        self._wire = wire

    async def ask(self, request: Request, limit_s: float = TIMER_F_S) -> Response:
        """Send until there is a final response. Raises NoAnswer."""
        branch = request.branch
        assert branch and branch not in self._open, "every request has a branch of its own"
        entry = self._open[branch] = _Open(request, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(limit_s):
                return await self._until_answered(entry)
        except TimeoutError:
            raise NoAnswer(f"the platform does not answer: {request.method}, {limit_s:g} s") from None
        finally:
            del self._open[branch]

    async def _until_answered(self, entry: _Open) -> Response:
        """Timer E: T1, doubling up to T2, and T2 once the peer says that it is trying. A stream repeats for us."""
        wire = self._wire
        assert wire is not None, "there is a wire before the first request"
        data, interval_s = encode(entry.request), T1_S
        while True:
            wire.send(data)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s if wire.transport == "UDP" else None):
                    return await asyncio.shield(entry.answer)
            interval_s = T2_S if entry.trying else min(interval_s * 2, T2_S)

    def heard(self, data: bytes) -> None:
        """One message from the peer."""
        if not data.strip(b"\r\n\x00"):
            return  # keeps an address translation open, and says nothing
        try:
            message = decode(data)
        except BadMessage as error:
            self._drop("malformed", str(error))
            return
        if isinstance(message, Response):
            self._on_response(message)
        elif message.method != "ACK" and self._wire is not None:
            self._on_request(message, self._wire)

    # ── answers to us ──────────────────────────────────────────────────────────────────────────────────────────

    def _on_response(self, said: Response) -> None:
        entry = self._open.get(said.branch)
        if entry is None or not _is_for(said, entry.request):
            self._drop("stray response", f"{said.status} {said.reason}")
        elif said.status < 200:
            entry.trying = True
        elif not entry.answer.done():
            entry.answer.set_result(said)

    # ── requests to us ─────────────────────────────────────────────────────────────────────────────────────────

    def _on_request(self, request: Request, wire: Wire) -> None:
        now = asyncio.get_running_loop().time()
        key = _key(request)
        known = self._answered.get(key)
        if known is None or known.until <= now:
            known = self._answered[key] = _Answered(encode(self._answer(request)), now + TIMER_J_S)
            self._answered.move_to_end(key)
        wire.send(known.data)
        while len(self._answered) > KEEP_ANSWERS or next(iter(self._answered.values())).until <= now:
            self._answered.popitem(last=False)

    def _answer(self, request: Request) -> Response:
        try:
            return self._serve(request)
        except Exception:
            log.exception("a %s from the platform could not be answered", request.method)
            return answer_to(request, 500, "Server Internal Error", "x")

    def _drop(self, what: str, why: str) -> None:
        self.dropped[what] += 1
        log.info("dropped a %s: %s", what, why)


def _is_for(said: Response, request: Request) -> bool:
    """RFC 3261, 17.1.3 and 18.1.2, and the dialogue's names besides: nobody answers by a lucky branch."""
    same = said.cseq == request.cseq and said.get("call-id") == request.get("call-id")
    return same and len(said.all("via")) == 1 and tag_of(said.get("from")) == tag_of(request.get("from"))


def _key(request: Request) -> tuple[str, ...]:
    """RFC 3261, 17.2.3: the branch where it is unique by its form, else what an old peer has instead."""
    if request.branch.startswith(MAGIC):
        return (request.branch, request.get("via").split(";")[0], request.method)
    return (request.get("call-id"), request.get("cseq"), tag_of(request.get("from")), request.uri)
