"""RFC 3261's timers and matching rules, one by one, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Literal

import pytest
import virtual_time

from agent.uplink.gb28181.sip import Request, Response, answer_to, decode, encode
from agent.uplink.gb28181.transactions import KEEP_ANSWERS, TIMER_F_S, TIMER_J_S, NoAnswer, Transactions

ASKED = Request(
    headers=(
        ("Via", "SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bKours"),
        ("From", "<sip:a@b>;tag=ours"),
        ("To", "<sip:c@d>"),
        ("Call-ID", "call-1"),
        ("CSeq", "7 MESSAGE"),
    ),
    method="MESSAGE",
    uri="sip:c@d",
)


class _Wire:
    """Remembers what was sent, and when."""

    def __init__(self, transport: Literal["UDP", "TCP"]) -> None:
        self.transport: Literal["UDP", "TCP"] = transport
        self.local = ("10.0.0.2", 5060)
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.sent: list[tuple[float, bytes]] = []

    def send(self, data: bytes) -> None:
        self.sent.append((asyncio.get_running_loop().time(), data))

    def close(self) -> None: ...


class Bench:
    def __init__(self, transport: Literal["UDP", "TCP"] = "UDP") -> None:
        self.served: list[Request] = []
        self.wire = _Wire(transport)
        self.transactions = Transactions(self._serve)
        self.transactions.use(self.wire)

    def _serve(self, request: Request) -> Response:
        self.served.append(request)
        return answer_to(request, 200, "OK", f"tag-{len(self.served)}")

    @property
    def times(self) -> list[float]:
        return [round(at, 3) for at, _ in self.wire.sent]

    def hear(self, status: int = 200, changed: dict[str, str] | None = None) -> None:
        """An answer to ASKED, one of its headers changed."""
        said = answer_to(ASKED, status, "x", "theirs")
        headers = tuple((key, (changed or {}).get(key.lower(), value)) for key, value in said.headers)
        self.transactions.heard(encode(Response(headers=headers, status=status)))


def play(scene: Coroutine[object, object, None]) -> None:
    virtual_time.run(scene)


def test_a_request_is_repeated_at_timer_e_until_timer_f() -> None:
    async def scene() -> None:
        bench = Bench()
        with pytest.raises(NoAnswer):
            await bench.transactions.ask(ASKED)
        assert bench.times == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert asyncio.get_running_loop().time() == TIMER_F_S
        assert len({data for _, data in bench.wire.sent}) == 1

    play(scene())


def test_a_stream_repeats_nothing() -> None:
    async def scene() -> None:
        bench = Bench("TCP")
        with pytest.raises(NoAnswer):
            await bench.transactions.ask(ASKED)
        assert bench.times == [0]

    play(scene())


def test_trying_is_no_answer_and_slows_the_repetitions_down() -> None:
    async def scene() -> None:
        bench = Bench()
        asked = asyncio.create_task(bench.transactions.ask(ASKED))
        await asyncio.sleep(0.1)
        bench.hear(100)
        await asyncio.sleep(10)
        assert not asked.done()
        assert bench.times == [0, 0.5, 4.5, 8.5]
        bench.hear(404)
        assert (await asked).status == 404
        await asyncio.sleep(60)
        assert len(bench.times) == 4  # answered: nothing goes out any more

    play(scene())


@pytest.mark.parametrize(
    "changed",
    [
        {"via": "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKother"},
        {"via": "SIP/2.0/UDP 10.0.0.2:5060"},
        {"call-id": "call-2"},
        {"cseq": "8 MESSAGE"},
        {"cseq": "7 REGISTER"},
        {"from": "<sip:a@b>;tag=other"},
    ],
)
def test_an_answer_must_fit_in_every_name(changed: dict[str, str]) -> None:
    async def scene() -> None:
        bench = Bench()
        asked = asyncio.create_task(bench.transactions.ask(ASKED))
        await asyncio.sleep(0.1)
        bench.hear(changed=changed)
        await asyncio.sleep(0.1)
        assert not asked.done()
        assert bench.transactions.dropped["stray response"] == 1
        bench.hear()
        assert (await asked).ok
        bench.hear()  # and once more: nobody waits for it
        assert bench.transactions.dropped["stray response"] == 2

    play(scene())


def test_an_answer_with_a_second_via_is_somebody_elses() -> None:
    async def scene() -> None:
        bench = Bench()
        asked = asyncio.create_task(bench.transactions.ask(ASKED, 1.0))
        await asyncio.sleep(0.1)
        said = answer_to(ASKED, 200, "OK", "t", (("Via", "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx"),))
        bench.transactions.heard(encode(said))
        with pytest.raises(NoAnswer):
            await asked

    play(scene())


def incoming(branch: str, call: str = "c", via: str = "10.0.0.1:5060") -> bytes:
    headers = (
        ("Via", f"SIP/2.0/UDP {via};branch={branch}"),
        ("From", "<sip:c@d>;tag=t"),
        ("To", "<sip:a@b>"),
        ("Call-ID", call),
        ("CSeq", "1 MESSAGE"),
    )
    return encode(Request(headers=headers, method="MESSAGE", uri="sip:a@b"))


@pytest.mark.parametrize("branch", ["z9hG4bKsame", "old"])
def test_a_repetition_is_answered_alike_and_carried_out_once(branch: str) -> None:
    async def scene() -> None:
        bench = Bench()
        for _ in range(4):
            bench.transactions.heard(incoming(branch))
            await asyncio.sleep(7)
        assert len(bench.served) == 1
        assert len({data for _, data in bench.wire.sent}) == 1
        bench.transactions.heard(incoming(branch, call="another"))
        assert len(bench.served) == (1 if branch.startswith("z9") else 2)

    play(scene())


def test_an_answer_is_kept_for_timer_j_and_no_more_than_so_many() -> None:
    async def scene() -> None:
        bench = Bench()
        bench.transactions.heard(incoming("z9hG4bK0"))
        await asyncio.sleep(TIMER_J_S + 0.1)
        bench.transactions.heard(incoming("z9hG4bK0"))
        assert len(bench.served) == 2
        for number in range(1, KEEP_ANSWERS + 1):
            bench.transactions.heard(incoming(f"z9hG4bK{number}"))
        bench.transactions.heard(incoming("z9hG4bK0"))  # pushed out by the crowd
        assert len(bench.served) == KEEP_ANSWERS + 3

    play(scene())


def test_what_is_malformed_is_counted_and_an_ack_is_left_alone() -> None:
    async def scene() -> None:
        bench = Bench()
        bench.transactions.heard(b"hello")
        bench.transactions.heard(b"\r\n\r\n")
        bench.transactions.heard(incoming("z9hG4bK1").replace(b"MESSAGE", b"ACK"))
        assert bench.transactions.dropped == {"malformed": 1}
        assert bench.wire.sent == []
        assert bench.served == []

    play(scene())


def test_what_comes_before_the_wire_is_ready_is_no_crash() -> None:
    async def scene() -> None:
        transactions = Transactions(lambda request: answer_to(request, 200, "OK", "t"))
        transactions.heard(incoming("z9hG4bK1"))
        assert isinstance(decode(incoming("z9hG4bK1")), Request)

    play(scene())
