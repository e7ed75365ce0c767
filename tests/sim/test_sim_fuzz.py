"""Whatever comes in, the simulator answers or refuses in order; nothing else escapes."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sim_gates import demo_text, gate_of, site_from

from sim.describe import frames
from sim.desk import Desk
from sim.frames import MAX_PDU, BadFrame, RtuFrame, TcpFrame, parse_rtu, take_tcp
from sim.picture import truth
from sim.units import units_on
from sim.verbs import Hands, NotNow, WrongInput

SITE = site_from(demo_text(), Path("/nowhere"))
GATE = gate_of(SITE)
DESKS = {b.name: Desk(b.name, units_on(SITE, b, GATE.world), GATE.world, b.kind == "tcp") for b in SITE.bus}
DESCRIBE = frames({b.name: (b.kind == "rtu", units_on(SITE, b, GATE.world)) for b in SITE.bus})
PDUS = st.one_of(
    st.binary(min_size=1, max_size=MAX_PDU),
    st.builds(
        lambda function, address, count, rest: (
            bytes((function,)) + address.to_bytes(2, "big") + count.to_bytes(2, "big") + rest
        ),
        st.integers(1, 16),
        st.one_of(st.integers(0, 64), st.integers(0, 0xFFFF)),
        st.one_of(st.integers(0, 64), st.integers(0, 0xFFFF)),
        st.one_of(st.just(b""), st.binary(max_size=20)),
    ),
)


class Reader:
    def swipe(self, digits: str) -> None:
        assert len(digits) == 10


class Clock:
    def step(self, by_s: float) -> int:
        return round(by_s * 1000)


HANDS = Hands(GATE.world, {reader.id: Reader() for reader in SITE.reader}, Clock())
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12))
FIELDS = st.sampled_from(
    ["button", "state", "reader", "card", "door", "open", "lane", "at", "on", "key", "position", "mode", "step_s",
     "device", "kind", "hold_s", "hold", "from", "for_s", "p", "count", "delay_s", "extra"]
)  # fmt: skip
NAMES = st.sampled_from(
    ["gatehouse", "wicket", "main", "service", "guard", "office", "remote", "estop", "on", "off", "cut", "between",
     "guard-1", "panic-reset", "lane:main", "bus:plc", "gpio", "gpio:17", "dead", "chatter", "reboot", "lying", "slow"]
)  # fmt: skip


@given(unit=st.integers(0, 255), pdu=PDUS)
@settings(max_examples=400, deadline=None)
def test_any_request_gets_a_frame_or_silence(unit: int, pdu: bytes) -> None:
    tcp = DESKS["plc"].tcp(TcpFrame(1, unit, pdu))
    if tcp is not None:
        answer = take_tcp(bytearray(tcp.data))
        assert answer is not None
        assert (answer.transaction, answer.unit) == (1, unit)
        assert answer.pdu[0] & 0x7F == pdu[0] & 0x7F
    rtu = DESKS["cabinet"].rtu(RtuFrame(unit, pdu))
    if rtu is not None:
        assert parse_rtu(rtu.data).unit == unit
    for bus, data in (("plc", TcpFrame(1, unit, pdu).to_bytes()), ("cabinet", RtuFrame(unit, pdu).to_bytes())):
        assert DESCRIBE(bus, "request", data)
        assert DESCRIBE(bus, "reply", data)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_a_bad_frame(data: bytes) -> None:
    with contextlib.suppress(BadFrame):
        take_tcp(bytearray(data))
    with contextlib.suppress(BadFrame):
        parse_rtu(data)
    assert DESCRIBE("plc", "request", data)
    assert DESCRIBE("cabinet", "reply", data)


@given(verb=st.sampled_from(HANDS.verbs), data=st.data())
@settings(max_examples=600, deadline=None)
def test_any_body_is_done_or_refused(verb: str, data: st.DataObject) -> None:
    body = data.draw(st.one_of(SCALARS, st.dictionaries(FIELDS, st.one_of(SCALARS, NAMES), max_size=6)))

    with contextlib.suppress(WrongInput, NotNow):
        assert HANDS.do(verb, body)["ok"] is True
    GATE.world.advance(GATE.world.now_s + 0.5)
    assert truth(GATE.world)["lanes"]
