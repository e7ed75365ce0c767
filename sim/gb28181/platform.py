"""A police platform that speaks GB/T 28181, strictly: what the standard does not allow is refused or not answered.

It shares nothing with the agent: its own way of taking a message apart, its own digest, its own XML. It can be told to
lie. An alarm is on its log, synced, before it says so.

`python -m sim.gb28181 --password secret` listens on loopback and prints one JSON line with its port and its page.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

PLATFORM = "34020000002000000001"
DEVICE = "34020000001170000001"
CHINA = timezone(timedelta(hours=8))
LIES = ("drop", "no_response", "delay", "double", "wrong_sn", "other_device", "error", "forget", "busy", "garbage",
        "early_response", "wrong_call", "trying", "deaf")  # fmt: skip
REPEAT_S = (0.5, 1.0, 2.0, 4.0, 4.0, 4.0)
QUERIES = ("DeviceInfo", "DeviceStatus", "Catalog")
CONTROLS = {"SetGuard": "GuardCmd", "ResetGuard": "GuardCmd", "ResetAlarm": "AlarmCmd", "Boot": "TeleBoot"}


class Wrong(Exception):
    """Answered with this status; the text stands in the list of what was refused."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Ignored(Exception):
    """Not answered: no SIP, or not whole."""


class Sip:
    """One message taken apart. `lines` keeps header names in lower case."""

    def __init__(self, data: bytes) -> None:
        head, gap, self.body = data.partition(b"\r\n\r\n")
        self.first, *rows = head.decode("utf-8", "replace").split("\r\n")
        self.lines = [(key.strip().lower(), value.strip()) for key, _, value in (row.partition(":") for row in rows)]
        if not gap or not re.fullmatch(r"([A-Z]+ sip:\S+ SIP/2\.0)|(SIP/2\.0 \d{3} .*)", self.first):
            raise Ignored(f"no SIP: {self.first[:40]!r}")
        for name in ("via", "from", "to", "call-id", "cseq", "content-length"):
            if len([1 for key, _ in self.lines if key == name]) != 1:
                raise Ignored(f"not one {name}")
        if self["content-length"] != str(len(self.body)):
            raise Ignored("Content-Length")

    def __getitem__(self, name: str) -> str:
        return next((value for key, value in self.lines if key == name), "")

    @property
    def is_request(self) -> bool:
        return not self.first.startswith("SIP/")

    @property
    def method(self) -> str:
        return self["cseq"].partition(" ")[2]

    @property
    def speaker(self) -> str:
        return self["from"].partition("sip:")[2].partition("@")[0]

    @property
    def branch(self) -> str:
        return self["via"].partition("branch=")[2].partition(";")[0]


class Platform:
    """What it was told, and how it answers. `send` carries a message to an address; delays are the loop's."""

    def __init__(self, password: str, send: Callable[[bytes, Any], None], log: Path | None = None, qop: bool = True,
                 clock_s: float = 0.0, charset: str = "GB2312", transport: str = "UDP") -> None:  # fmt: skip
        self.password = password
        self.send = send
        self.log = log
        self.qop = qop
        self.clock_s = clock_s
        self.charset = charset
        self.transport = transport
        self.expires = 86400
        self.alarms: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.keepalives = self.options = self.registrations = 0
        self.refused: list[str] = []
        self.lie, self.lies_left, self.delay_s = "", 0, 1.0
        self.where: dict[str, Any] = {}  # device → its address
        self._nonces: set[str] = set()
        self._said: dict[tuple[str, str], list[bytes]] = {}  # what was answered to a request, by branch and method
        self._calls: dict[str, int] = {}  # highest CSeq per Call-ID
        self._open: dict[str, asyncio.Task[None]] = {}  # our own requests, by branch
        self._number = 0
        if log is not None and log.exists():
            self.alarms = [json.loads(line) for line in log.read_text("utf-8").splitlines()]

    # ── what comes ─────────────────────────────────────────────────────────────────────────────────────────────

    def heard(self, data: bytes, peer: Any) -> None:
        if self.lie == "deaf" and self.lies_left:
            return
        try:
            message = Sip(data)
            if not message.is_request:
                task = self._open.pop(message.branch, None)
                if task is not None:
                    task.cancel()
                return
            self._on_request(message, peer)
        except Ignored as why:
            self.refused.append(str(why))

    def _on_request(self, request: Sip, peer: Any) -> None:
        key = (request.branch, request.method)
        if key in self._said:
            for data in self._said[key]:
                self.send(data, peer)
            return
        lie = self._lie_now(request)
        if lie == "drop":
            return
        if lie == "forget":
            self.where.clear()
        try:
            if lie == "busy":
                raise Wrong(503, "told to be busy")
            status, more, then = self._judge(request, peer)
        except Wrong as why:
            self.refused.append(str(why))
            status, more, then = why.status, "", None
        self._say(request, peer, lie, _answer(request, status, more), then)

    def _say(self, request: Sip, peer: Any, lie: str, answer: bytes, then: tuple[str, int, str] | None) -> None:
        """The answer, and after an alarm our own Response to it; or what we were told to do instead."""
        self._said[request.branch, request.method] = [answer]
        if lie == "garbage":
            for bad in (
                b"\x00\xff\x00",
                b"SIP/2.0 999 ?\r\n\r\n",
                answer[:40],
                b"MESSAGE sip:x SIP/2.0\r\nVia\r\n\r\n",
            ):
                self.send(bad, peer)
        if lie == "wrong_call":
            self.send(answer.replace(b"Call-ID: ", b"Call-ID: x"), peer)
            del self._said[request.branch, request.method], self._calls[request["call-id"]]
            return
        if lie == "trying":
            self.send(answer.replace(b"SIP/2.0 200 OK", b"SIP/2.0 100 Trying"), peer)
        if lie == "early_response" and then is not None:
            self._respond(then, peer, lie)
        loop = asyncio.get_running_loop()
        loop.call_later(self.delay_s if lie in ("delay", "trying", "early_response") else 0.0, self.send, answer, peer)
        if lie == "double":
            self.send(answer, peer)
        if then is not None and lie not in ("no_response", "early_response"):
            loop.call_later(self.delay_s if lie == "delay" else 0.0, self._respond, then, peer, lie)

    def _judge(self, request: Sip, peer: Any) -> tuple[int, str, tuple[str, int, str] | None]:
        """(status, more header lines, an alarm to respond to)."""
        self._check(request)
        if request.method == "REGISTER":
            return (*self._register(request, peer), None)
        if self.where.get(request.speaker) != peer:
            raise Wrong(403, "not registered from there")
        if request.method == "OPTIONS":
            self.options += 1
            return 200, "", None
        if request.method != "MESSAGE":
            raise Wrong(405, request.method)
        return 200, "", self._command(request)

    def _check(self, request: Sip) -> None:
        if not request.branch.startswith("z9hG4bK") or f"SIP/2.0/{self.transport} " not in request["via"]:
            raise Wrong(400, "Via")
        if ";tag=" not in request["from"] or not request["max-forwards"].isdecimal():
            raise Wrong(400, "From or Max-Forwards")
        if request.first.split(" ")[0] != request.method or f"sip:{PLATFORM}@" not in request.first:
            raise Wrong(400, "request line")
        if request.speaker != DEVICE:
            raise Wrong(404, f"device {request.speaker}")
        number = int(request["cseq"].split(" ")[0])
        if number <= self._calls.get(request["call-id"], 0):
            raise Wrong(500, "CSeq went back")
        self._calls[request["call-id"]] = number

    # ── registration ───────────────────────────────────────────────────────────────────────────────────────────

    def _register(self, request: Sip, peer: Any) -> tuple[int, str]:
        said = request["authorization"]
        if not said:
            nonce = secrets.token_hex(8)
            self._nonces.add(nonce)
            qop = ',qop="auth"' if self.qop else ""
            return 401, f'WWW-Authenticate: Digest realm="{PLATFORM[:10]}",nonce="{nonce}",algorithm=MD5{qop}\r\n'
        values = dict(re.findall(r'(\w+)="?([^",]*)"?', said.removeprefix("Digest ")))
        if values.get("nonce") not in self._nonces:
            raise Wrong(403, "a nonce that is not ours")
        self._nonces.discard(values["nonce"])
        if values.get("uri") != request.first.split(" ")[1] or self._digest(values) != values.get("response"):
            raise Wrong(403, "password")
        if DEVICE not in request["contact"]:
            raise Wrong(400, "Contact")
        self.registrations += 1
        self.where[DEVICE] = peer
        at = datetime.now(CHINA) + timedelta(seconds=self.clock_s)
        return 200, f"Date: {at:%Y-%m-%dT%H:%M:%S.000}\r\nExpires: {min(self.expires, int(request['expires']))}\r\n"

    def _digest(self, values: dict[str, str]) -> str:
        def md5(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        first = md5(f"{DEVICE}:{PLATFORM[:10]}:{self.password}")
        second = md5(f"REGISTER:{values['uri']}")
        middle = f"{values.get('nc')}:{values.get('cnonce')}:auth:" if self.qop else ""
        return md5(f"{first}:{values['nonce']}:{middle}{second}")

    # ── commands ───────────────────────────────────────────────────────────────────────────────────────────────

    def _command(self, request: Sip) -> tuple[str, int, str] | None:
        if request["content-type"].lower() != "application/manscdp+xml":
            raise Wrong(415, "Content-Type")
        root = _xml(request.body)
        kind, number, device = (root.findtext(name) or "" for name in ("CmdType", "SN", "DeviceID"))
        if not number.isdecimal() or not re.fullmatch(r"\d{20}", device):
            raise Wrong(400, "SN or DeviceID")
        if root.tag == "Notify" and kind == "Keepalive" and root.findtext("Status") in ("OK", "ERROR"):
            self.keepalives += 1
        elif root.tag == "Notify" and kind == "Alarm":
            self._alarm(root, int(number), device)
            return kind, int(number), device
        elif root.tag == "Response":
            self.answers.append({"kind": kind, "sn": int(number), "xml": ElementTree.tostring(root, "unicode")})
        else:
            raise Wrong(400, f"command {root.tag} {kind}")
        return None

    def _alarm(self, root: ElementTree.Element, number: int, device: str) -> None:
        names = [element.tag for element in root]
        wanted = ["CmdType", "SN", "DeviceID", "AlarmPriority", "AlarmMethod", "AlarmTime", "AlarmDescription"]
        text = {name: root.findtext(name) or "" for name in wanted}
        if names not in (wanted, [*wanted, "Info"]):
            raise Wrong(400, "the fields of an alarm, or their order")
        if text["AlarmPriority"] not in ("1", "2", "3", "4") or text["AlarmMethod"] not in tuple("1234567"):
            raise Wrong(400, "priority or method")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text["AlarmTime"]):
            raise Wrong(400, "AlarmTime")
        known = next((a for a in self.alarms if (a["sn"], a["device"]) == (number, device)), None)
        if known is not None:
            known["copies"] += 1
            return
        self.alarms.append(
            {"sn": number, "device": device, "priority": int(text["AlarmPriority"]), "copies": 1,
             "method": int(text["AlarmMethod"]), "at": text["AlarmTime"], "words": text["AlarmDescription"],
             "type": root.findtext("Info/AlarmType") or "", "drill": root.findtext("Info/Drill") == "true",
             "received_ms": round(datetime.now(CHINA).timestamp() * 1000)}
        )  # fmt: skip
        self._keep(self.alarms[-1])

    def _keep(self, alarm: dict[str, Any]) -> None:
        """On the log, synced: only then may anybody be told that we have it."""
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(alarm, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())

    # ── what it says by itself ─────────────────────────────────────────────────────────────────────────────────

    def _respond(self, to: tuple[str, int, str], peer: Any, lie: str) -> None:
        kind, number, device = to
        number = number % 1000 + 1 if lie == "wrong_sn" else number
        device = PLATFORM if lie == "other_device" else device
        result = "ERROR" if lie == "error" else "OK"
        body = f"<Response><CmdType>{kind}</CmdType><SN>{number}</SN><DeviceID>{device}</DeviceID>"
        for _ in range(2 if lie == "double" else 1):
            self.ask(f"{body}<Result>{result}</Result></Response>", peer)

    def ask(self, xml: str, peer: Any = None) -> None:
        """A MESSAGE of our own, repeated until it is answered."""
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        body = f'<?xml version="1.0" encoding="{self.charset}"?>\r\n{xml}\r\n'.encode(self.charset)
        head = (
            f"MESSAGE sip:{DEVICE}@{PLATFORM[:10]} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} 127.0.0.1:5060;branch={branch}\r\n"
            f"From: <sip:{PLATFORM}@{PLATFORM[:10]}>;tag={secrets.token_hex(4)}\r\n"
            f"To: <sip:{DEVICE}@{PLATFORM[:10]}>\r\nCall-ID: {secrets.token_hex(8)}\r\nCSeq: 1 MESSAGE\r\n"
            f"Max-Forwards: 70\r\nContent-Type: Application/MANSCDP+xml\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        target = self.where.get(DEVICE) if peer is None else peer
        self._open[branch] = asyncio.get_running_loop().create_task(self._repeat(branch, head.encode() + body, target))

    async def _repeat(self, branch: str, data: bytes, peer: Any) -> None:
        for pause_s in REPEAT_S:
            self.send(data, peer)
            await asyncio.sleep(pause_s)
        self._open.pop(branch, None)

    def query(self, what: str, device: str = DEVICE) -> int:
        """Ask for DeviceInfo …, or order SetGuard …; returns the SN by which the answer is known."""
        self._number += 1
        common = f"<SN>{self._number}</SN><DeviceID>{device}</DeviceID>"
        if what in CONTROLS:
            order = f"<{CONTROLS[what]}>{what}</{CONTROLS[what]}>"
            self.ask(f"<Control><CmdType>DeviceControl</CmdType>{common}{order}</Control>")
        else:
            self.ask(f"<Query><CmdType>{what}</CmdType>{common}</Query>")
        return self._number

    def forget(self) -> None:
        """As after a restart: the registration, the transactions and the nonces are gone; the log is not."""
        for task in self._open.values():
            task.cancel()
        for memory in (self.where, self._nonces, self._said, self._calls, self._open):
            memory.clear()

    def _lie_now(self, request: Sip) -> str:
        """Lies about alarms are told to alarms; the others to whatever comes."""
        only_alarms = self.lie in ("no_response", "wrong_sn", "other_device", "error", "early_response")
        if not self.lies_left or (only_alarms and b"<CmdType>Alarm<" not in request.body):
            return ""
        self.lies_left -= 1
        return self.lie


def _answer(request: Sip, status: int, more: str) -> bytes:
    words = {200: "OK", 401: "Unauthorized", 403: "Forbidden"}.get(status, "No")
    same = "".join(f"{name}: {request[name.lower()]}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
    if ";tag=" not in request["to"]:
        same = same.replace(f"To: {request['to']}", f"To: {request['to']};tag=platform")
    return f"SIP/2.0 {status} {words}\r\n{same}{more}Content-Length: 0\r\n\r\n".encode()


def _xml(body: bytes) -> ElementTree.Element:
    found = re.match(rb'<\?xml version="1\.0" encoding="(GB2312|GB18030|UTF-8)"\?>\r\n', body)
    if found is None:
        raise Wrong(400, "XML declaration")
    try:
        return ElementTree.fromstring(body[found.end() :].decode(found[1].decode()))
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise Wrong(400, f"XML: {error}") from None
