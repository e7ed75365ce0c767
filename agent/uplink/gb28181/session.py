"""What the box says to its platform: registration, keepalives, commands in MESSAGEs. One session, one registration."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from agent.uplink.gb28181.digest import BadChallenge, Login, challenge, credentials
from agent.uplink.gb28181.manscdp import CONTENT_TYPE, Field, write
from agent.uplink.gb28181.sip import MAGIC, Headers, Request, Response
from agent.uplink.gb28181.transactions import TIMER_F_S, Transactions
from agent.uplink.gb28181.wire import LinkLost, Refused, Wire
from hardware.site import Gb28181

LEAST_EXPIRES_S = 60.0  # D: a platform that grants less would be asked without end
UNKNOWN_TO_IT = frozenset({401, 403, 404, 407, 481})  # what a platform says that has forgotten our registration
_EXPIRES = re.compile(r";[ \t]*expires[ \t]*=[ \t]*(\d{1,9})", re.IGNORECASE)


class Session:
    """Speaks as one device to one platform over one wire."""

    def __init__(self, way: Gb28181, login: Login, wire: Wire, transactions: Transactions) -> None:
        self._way = way
        self._login = login
        self._wire = wire
        self._transactions = transactions
        self._register_call = f"{secrets.token_hex(8)}@{wire.local[0]}"
        self._cseq = itertools.count(1)
        self._sn = itertools.count(1)
        self.offset_s: float | None = None  # the platform's clock minus ours, as its last Date told
        self._domain = way.domain or way.platform_id[:10]
        host = f"[{wire.local[0]}]" if ":" in wire.local[0] else wire.local[0]
        self._here = f"{host}:{wire.local[1]}"
        there = f"[{way.host}]" if ":" in way.host else way.host
        self._target = f"sip:{way.platform_id}@{there}:{way.port}"

    # ── registration ───────────────────────────────────────────────────────────────────────────────────────────

    async def register(self, zone: tzinfo) -> float:
        """Register, or renew it; returns for how many seconds. `zone` is the platform's. Raises LinkLost."""
        said = await self._register("")
        for _ in range(2):  # the second time for a nonce that was stale
            if said.status not in (401, 407):
                break
            said = await self._register(self._authorization(said))
        if said.status in (401, 403, 407):
            raise Refused(f"the platform refuses {self._login.user} ({_say(said)}): check device_id, user and password")
        if not said.ok:
            raise Refused(f"the platform does not register {self._way.device_id}: {_say(said)}")
        at = _date(said.get("date"), zone)
        self.offset_s = None if at is None else (at - datetime.now(UTC)).total_seconds()
        return max(LEAST_EXPIRES_S, min(self._granted(said), float(self._way.expires_s)))

    async def _register(self, authorization: str) -> Response:
        transport = ";transport=tcp" if self._wire.transport == "TCP" else ""
        more: list[tuple[str, str]] = [
            ("Contact", f"<sip:{self._way.device_id}@{self._here}{transport}>"),
            ("Expires", str(self._way.expires_s)),
        ]
        if authorization:
            more.append(("Authorization", authorization))
        us = f"<sip:{self._way.device_id}@{self._domain}>"
        return await self._ask("REGISTER", us, self._register_call, tuple(more), b"", TIMER_F_S)

    def _authorization(self, said: Response) -> str:
        try:
            asked = challenge(said.all("www-authenticate") or said.all("proxy-authenticate"))
        except BadChallenge as error:
            raise Refused(f"the platform's log-in cannot be answered: {error}") from None
        return credentials(asked, self._login, "REGISTER", self._target, 1, secrets.token_hex(8))

    def _granted(self, said: Response) -> float:
        contact = _EXPIRES.search(said.get("contact"))
        text = contact[1] if contact else said.get("expires")
        return float(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else float(self._way.expires_s)

    # ── messages ───────────────────────────────────────────────────────────────────────────────────────────────

    async def keepalive(self, limit_s: float) -> None:
        """Raises NoAnswer, or LinkLost when the platform no longer knows us."""
        body = self.body("Notify", "Keepalive", next(self._sn), self._way.device_id, [("Status", "OK")])
        said = await self.message(body, limit_s)
        if said.status in UNKNOWN_TO_IT:
            raise LinkLost(f"the platform has forgotten the registration: {_say(said)}")

    async def options(self, limit_s: float) -> None:
        """Any answer shows that the platform is there. Raises NoAnswer."""
        await self._ask("OPTIONS", self._platform(), self._new_call(), (("Accept", CONTENT_TYPE),), b"", limit_s)

    async def message(self, body: bytes, limit_s: float = TIMER_F_S) -> Response:
        """One command. Raises NoAnswer."""
        headers = (("Content-Type", CONTENT_TYPE),)
        return await self._ask("MESSAGE", self._platform(), self._new_call(), headers, body, limit_s)

    def body(self, root: str, kind: str, sn: int, device: str, fields: Sequence[Field]) -> bytes:
        return write(root, kind, sn, device, fields, self._way.charset)

    async def _ask(self, method: str, to: str, call: str, more: Headers, body: bytes, limit_s: float) -> Response:
        via = f"SIP/2.0/{self._wire.transport} {self._here};rport;branch={MAGIC}{secrets.token_hex(12)}"
        headers = (
            ("Via", via),
            ("From", f"<sip:{self._way.device_id}@{self._domain}>;tag={secrets.token_hex(6)}"),
            ("To", to),
            ("Call-ID", call),
            ("CSeq", f"{next(self._cseq)} {method}"),
            ("Max-Forwards", "70"),
            ("User-Agent", "Menwei"),
            *more,
        )
        request = Request(headers=headers, body=body, method=method, uri=self._target)
        asked = asyncio.ensure_future(self._transactions.ask(request, limit_s))
        try:
            ends: list[asyncio.Future[Any]] = [asked, self._wire.lost]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise LinkLost(self._wire.lost.result())
            return asked.result()
        finally:
            asked.cancel()

    def _platform(self) -> str:
        return f"<sip:{self._way.platform_id}@{self._domain}>"

    def _new_call(self) -> str:
        return f"{secrets.token_hex(8)}@{self._wire.local[0]}"


def _say(said: Response) -> str:
    return f"{said.status} {said.reason}".strip()[:80]


def _date(text: str, zone: tzinfo) -> datetime | None:
    """The `Date` of GB/T 28181 (ISO, the platform's local time) or of RFC 3261 (GMT); None for another or none."""
    try:
        at = datetime.fromisoformat(text)
        return at if at.tzinfo is not None else at.replace(tzinfo=zone)
    except ValueError:
        pass
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
