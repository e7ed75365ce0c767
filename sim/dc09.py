"""A police receiving centre that speaks SIA DC-09, strictly: what the standard does not allow is not acknowledged.

It shares nothing with the agent: its own CRC, its own way of taking a frame apart. It can be told to lie.

`python -m sim.dc09 --account 1234` listens on loopback and prints one JSON line with its port and its page.
"""

from __future__ import annotations

import argparse
import asyncio
import binascii
import contextlib
import json
import signal
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sim import bare_page

EARLY, LATE = timedelta(seconds=40), timedelta(seconds=20)  # how far behind and ahead of us a message may be
KEEP = 1000
CID = frozenset(
    [
        "110",
        "120",
        "121",
        "122",
        "123",
        "137",
        "300",
        "301",
        "302",
        "305",
        "320",
        "350",
        "354",
        "373",
        "380",
        "421",
        "423",
        "426",
        "570",
        "601",
        "602",
        "607",
        "625",
        "626",
    ]
)
SIA = frozenset(
    ["PA", "HA", "FA", "FT", "TA", "AT", "YT", "RR", "YC", "YX", "UT", "DD", "DF", "DN", "UB", "RX", "RP", "TS", "JT"]
)
RESTORES = frozenset(["AR", "DH", "DR", "FJ", "FR", "TE", "TR", "UJ", "YK", "YR", "YZ"])  # it is over
LIES = ("drop", "delay", "nak", "duh", "wrong_seq", "close", "garbage", "bad_crc", "bytewise")
_TABLE = [0] * 256
for _n in range(256):
    _r = _n
    for _ in range(8):
        _r = (_r >> 1) ^ 0xA001 if _r & 1 else _r >> 1
    _TABLE[_n] = _r


def check(data: bytes) -> str:
    """CRC-16/ARC, by table, as four hex digits."""
    value = 0
    for octet in data:
        value = value >> 8 ^ _TABLE[(value ^ octet) & 0xFF]
    return f"{value:04X}"


class Unclear(Exception):
    """No answer at all: the frame did not arrive whole."""


class NotOurs(Exception):
    """Answered with DUH: whole, but not what was agreed."""


class WrongTime(Exception):
    """Answered with NAK and our clock."""


class Centre:
    """What it was told, and how it answers."""

    def __init__(self, account: str, key: bytes = b"", clock_s: float = 0.0) -> None:
        self.account = account
        self.key = key
        self.clock_s = clock_s
        self.messages: list[dict[str, Any]] = []
        self.tests = 0
        self.refused: list[str] = []
        self.lie = ""
        self.lies_left = 0
        self._last: tuple[str, str] = ("", "")

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.clock_s)

    def answer(self, frame: bytes) -> bytes:
        """The answer to one frame, LF to CR; empty for none."""
        seq = "0000"
        try:
            body = self._body(frame)
            token, seq, rest = self._head(body)
            self._take(token, seq, self._inside(body, rest))
        except Unclear as why:
            self.refused.append(str(why))
            return b""
        except WrongTime as why:
            self.refused.append(str(why))
            return _wrap(f'"NAK"0000R0L0A0[]_{_stamp(self.now())}')
        except NotOurs as why:
            self.refused.append(str(why))
            return _wrap(f'"DUH"{seq}R0L0#{self.account}[]')
        return self._ack(seq)

    def _ack(self, seq: str) -> bytes:
        if not self.key:
            return _wrap(f'"ACK"{seq}R0L0#{self.account}[]')
        inner = f"]_{_stamp(self.now())}"
        pad = "7" * (16 + -len(inner) % 16)
        made = Cipher(algorithms.AES(self.key), modes.CBC(b"\0" * 16)).encryptor()
        hidden = (made.update((pad + inner).encode()) + made.finalize()).hex().upper()
        return _wrap(f'"*ACK"{seq}R0L0#{self.account}[{hidden}')

    @staticmethod
    def _body(frame: bytes) -> str:
        if frame[:1] != b"\n" or frame[-1:] != b"\r" or frame.count(b"\n") != 1 or frame.count(b"\r") != 1:
            raise Unclear("LF … CR")
        crc, length, body = frame[1:5], frame[5:9], frame[9:-1]
        if length.decode("ascii", "replace") != f"{len(body):04X}":
            raise Unclear("length")
        if crc.decode("ascii", "replace") != check(body):
            raise Unclear("CRC")
        return body.decode("ascii", "replace")

    def _head(self, body: str) -> tuple[str, str, str]:
        """(token, seq, all after the opening bracket)."""
        quote, token, rest = (*body.split('"', 2), "", "")[:3]
        head, bracket, inside = rest.partition("[")
        seq, numbers = head[:4], head[4:]
        receiver, hash_, account = numbers.partition("#")
        right = quote == "" and bracket and hash_ and receiver.startswith("R") and "L" in receiver
        if not right or len(seq) != 4 or not seq.isdecimal():
            raise NotOurs("head")
        if account != self.account:
            raise NotOurs(f"account {account}")
        if token.startswith("*") != bool(self.key):
            raise NotOurs("encryption")
        if (seq == "0000") != (token.lstrip("*") == "NULL"):
            raise NotOurs("sequence")
        return token.lstrip("*"), seq, inside

    def _inside(self, body: str, rest: str) -> str:
        """The data, its time checked."""
        if self.key:
            try:
                hidden = binascii.unhexlify(rest)
            except ValueError:
                raise NotOurs("hex") from None
            if not hidden or len(hidden) % 16:
                raise NotOurs("blocks")
            made = Cipher(algorithms.AES(self.key), modes.CBC(b"\0" * 16)).decryptor()
            pad, bar, rest = (made.update(hidden) + made.finalize()).decode("ascii", "replace").partition("|")
            if not bar or "[" in pad or "]" in pad:
                raise NotOurs("pad")
        data, close, stamp = rest.partition("]_")
        if not close:
            raise NotOurs("data")
        try:
            at = datetime.strptime(stamp, "%H:%M:%S,%m-%d-%Y").replace(tzinfo=UTC)
        except ValueError:
            raise NotOurs("time") from None
        if not -EARLY <= at - self.now() <= LATE:
            raise WrongTime(stamp)
        return data

    def _take(self, token: str, seq: str, data: str) -> None:
        if token == "NULL":
            self.tests += 1
            return
        event = self._event(token, data)
        if self._last[0] == seq and self._last[1] != data:
            raise NotOurs("sequence used twice")
        copy = self._last == (seq, data)
        self._last = (seq, data)
        if copy:
            self.messages[-1]["copies"] += 1
            return
        received = round(datetime.now(UTC).timestamp() * 1000)
        self.messages.append(
            {"seq": int(seq), "token": token, "data": data, "copies": 1, "received_ms": received} | event
        )
        del self.messages[:-KEEP]

    def _event(self, token: str, data: str) -> dict[str, Any]:
        account, bar, event = data.partition("|")
        if account != f"#{self.account}" or not bar:
            raise NotOurs("account in the data")
        if token == "ADM-CID":
            parts = event.split(" ")
            shape = [len(part) for part in parts] == [4, 2, 3] and "".join(parts).isdecimal()
            if not shape or parts[0][0] not in "136" or parts[0][1:] not in CID:
                raise NotOurs(f"event {event}")
            code, over = parts[0][1:], parts[0][0] == "3"
            return {"code": code, "zone": int(parts[2]), "drill": code in ("601", "607"), "restore": over}
        if token == "SIA-DCS":
            kind = event.removeprefix("Nri0/")
            if kind == event or kind[:2] not in SIA | RESTORES or not kind[2:5].isdecimal():
                raise NotOurs(f"event {event}")
            code, drill = kind[:2], kind.endswith("^DRILL^")
            return {"code": code, "zone": int(kind[2:5]), "drill": drill, "restore": code in RESTORES}
        raise NotOurs(f"token {token}")

    # ── the wire ───────────────────────────────────────────────────────────────────────────────────────────────

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._say(writer, await reader.readuntil(b"\r")):
                pass
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _say(self, writer: asyncio.StreamWriter, frame: bytes) -> bool:
        """Answer, or do what was asked instead. False ends the connection."""
        lie = self._lie_now()
        if lie == "close":
            return False
        if lie == "drop":
            return True
        said = self.answer(frame) if lie in ("", "delay", "wrong_seq", "bad_crc", "bytewise", "garbage") else b""
        if lie == "nak":
            said = b'"NAK"'
        elif lie == "duh":
            said = _wrap('"DUH"0000R0L0A0[]')
        elif lie == "wrong_seq":
            said = _wrap(f'"ACK"9876R0L0#{self.account}[]')
        elif lie == "bad_crc":
            said = b"\n0000" + said[5:]
        elif lie == "garbage":
            said = b"\x00\xff\r\nhello\r" + said
        elif lie == "delay":
            await asyncio.sleep(1.0)
        for piece in [said[i : i + 1] for i in range(len(said))] if lie == "bytewise" else [said]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return True

    def _lie_now(self) -> str:
        if not self.lies_left:
            return ""
        self.lies_left -= 1
        return self.lie


def _wrap(text: str) -> bytes:
    body = text.encode("ascii")
    return f"\n{check(body)}{len(body):04X}".encode() + body + b"\r"


def _stamp(at: datetime) -> str:
    return f"{at:%H:%M:%S,%m-%d-%Y}"


def make_app(centre: Centre) -> Starlette:
    """`/` for people, `/messages` for programs, `POST /lie {"kind","count"}`."""

    async def messages(request: Request) -> Response:
        told = {"messages": centre.messages, "tests": centre.tests, "refused": centre.refused[-20:]}
        return JSONResponse(told)

    async def lie(request: Request) -> Response:
        wish = await request.json()
        if wish.get("kind") not in LIES:
            return JSONResponse({"error": f"kind is one of {', '.join(LIES)}"}, status_code=400)
        centre.lie, centre.lies_left = wish["kind"], int(wish.get("count", 1))
        return JSONResponse({"ok": True})

    async def page(request: Request) -> Response:
        rows = ([str(m["seq"]), m["code"], str(m["zone"]), _mark(m)] for m in centre.messages)
        heads = ("序号 No.", "代码 Code", "防区 Zone", "")
        told = f"链路测试 link tests: {centre.tests}"
        none = "还没有报警 No alarm yet"
        return HTMLResponse(bare_page.page("接警中心 · Receiving centre (SIA DC-09)", told, heads, rows, none))

    routes = [Route("/", page), Route("/messages", messages), Route("/lie", lie, methods=["POST"])]
    return Starlette(routes=routes)


def _mark(message: Mapping[str, Any]) -> str:
    marks = (("演练 drill", message["drill"]), ("恢复 restore", message["restore"]))
    return " · ".join(text for text, holds in marks if holds)


async def run(centre: Centre, port: int, http: int) -> None:
    """Serve until told to stop; print the ready line once both ports answer."""
    import uvicorn

    server = await asyncio.start_server(centre.serve, "127.0.0.1", port)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", http))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "url": url}), flush=True)
    config = uvicorn.Config(make_app(centre), log_level="warning", access_log=False)
    await uvicorn.Server(config).serve(sockets=[listener])
    server.close()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sim.dc09", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--account", required=True)
    parser.add_argument("--key", default="", help="AES key in hex")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--http", type=int, default=0, help="0 takes a free one")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    centre = Centre(options.account, bytes.fromhex(options.key))
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(run(centre, options.port, options.http))
    return 0


if __name__ == "__main__":
    sys.exit(main())
