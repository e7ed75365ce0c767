"""DC-09 frames: typed from the standard, and against a decoder that is not ours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysiaalarm.data.sia_codes import SIA_CODES
from siadc09 import account as oracle_account
from siadc09 import message as oracle

from agent.core.endings import ENDING_KINDS, ends
from agent.core.kinds import MEANING
from agent.core.records import Weight
from agent.uplink.dc09.codes import CODES, DRILL, NOT_SENT, UNKNOWN, code_of, data_of
from agent.uplink.dc09.frames import PAD_LETTERS, Account, answer, crc16, envelope, frame
from sim.dc09 import CID, RESTORES, SIA, check

AT = datetime(2026, 11, 27, 18, 5, 9, tzinfo=UTC)
KEYS = [b"", bytes(range(16)), bytes(range(24)), bytes(range(32))]
HEX = "0123456789ABCDEF"


def test_the_checksum_is_the_standards() -> None:
    assert crc16(b"123456789") == 0xBB3D  # CRC-16/ARC
    assert check(b"123456789") == "BB3D"
    body = b'"SIA-DCS"9876R579BDFL789ABC#12345A[#12345A|NFA129][M1234567890AB]'
    assert crc16(body) == int(check(body), 16)


def test_a_frame_as_the_standard_writes_it() -> None:
    made = frame(Account("1234"), "ADM-CID", 1, "#1234|1120 00 001", AT)
    body = b'"ADM-CID"0001R0L0#1234[#1234|1120 00 001]_18:05:09,11-27-2026'
    assert made == b"\n" + check(body).encode() + b"003D" + body + b"\r"
    assert len(body) == 0x3D


def test_a_link_test_has_number_zero_and_no_data() -> None:
    assert b'"NULL"0000R1ALF#ABC[]_' in frame(Account("ABC", "1A", "F"), "NULL", 0, "", AT)


@given(
    st.sampled_from(KEYS),
    st.text(HEX, min_size=3, max_size=16),
    st.text("123456789ABCDEF", min_size=1, max_size=6),
    st.integers(1, 9999),
    st.sampled_from(sorted(CID)),
    st.integers(0, 999),
    st.text(PAD_LETTERS, min_size=32, max_size=32),
)
def test_another_decoder_reads_what_we_write(
    key: bytes, account: str, line: str, seq: int, cid: str, zone: int, pad: str
) -> None:
    made = frame(Account(account, line=line, key=key), "ADM-CID", seq, f"#{account}|1{cid} 00 {zone:03d}", AT, pad)
    read = oracle.parse_frame(made, key or None)
    assert (read.seq, read.timestamp, read.data.event.code) == (seq, AT, cid)
    assert read.data.event.addr == int(f"{zone:03d}", 16)
    assert read.account.acct == int(account, 16)


@given(st.sampled_from(KEYS[1:]), st.text(PAD_LETTERS, min_size=32, max_size=32))
def test_a_sealed_link_test_is_read_too(key: bytes, pad: str) -> None:
    read = oracle.parse_frame(frame(Account("1234", key=key), "NULL", 0, "", AT, pad), key)
    assert read.timestamp == AT


@pytest.mark.parametrize("key", KEYS)
@given(seq=st.integers(1, 9999))
def test_we_read_what_another_encoder_answers(key: bytes, seq: int) -> None:
    who = oracle_account.Account(acct=0x1234, key=key or None)
    said = answer(oracle.AckMessage(who, seq, AT, bool(key)).encode(), key)
    assert said is not None
    assert (said.word, said.seq, said.sealed) == ("ACK", seq, bool(key))
    refused = answer(oracle.NakMessage(who, AT).encode(), key)
    assert refused is not None
    assert (refused.word, refused.at) == ("NAK", AT)


@pytest.mark.parametrize("stamp", ["23:59:59,12-31-9999", "00:00:00,01-01-0001", "25:00:00,01-01-2026"])
def test_a_time_that_cannot_be_is_no_time(stamp: str) -> None:
    """One at the end of the calendar is more than can be added to: the path that learned it ended in an error."""
    said = answer(f'\n"NAK"0000R0L0A0[]_{stamp}\r'.encode())
    assert said is not None and said.word == "NAK" and said.at is None


@pytest.mark.parametrize("bare", [b'"NAK"', b'\n"NAK"\r', b'"DUH"', b'\n00000005"DUH"\r'])
def test_a_bare_no_counts(bare: bytes) -> None:
    assert answer(bare) is not None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\x00\xff\r",
        b'"ACK"',
        b'"ACK"0001R0L0#1234[]',
        b"\n0000" + envelope(b'"ACK"0001R0L0#1234[]')[5:],
        envelope(b'"ACK"0001R0L0#1234[]').replace(b"0014", b"0015"),
        envelope(b'"RSP"0001R0L0#1234[]'),
    ],
)
def test_a_yes_counts_only_whole(line: bytes) -> None:
    assert answer(line) is None


def test_a_yes_in_the_clear_is_none_where_a_key_is_shared() -> None:
    assert answer(envelope(b'"ACK"0001R0L0#1234[]'), KEYS[1]) is None
    who = oracle_account.Account(acct=0x1234, key=KEYS[2])
    assert answer(oracle.AckMessage(who, 1, AT, True).encode(), KEYS[1]) is None  # sealed by somebody else


@given(st.binary(max_size=80))
def test_garbage_never_breaks_the_reader(line: bytes) -> None:
    answer(line, KEYS[1])


# ── the table ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_alarm_kind_is_told_or_deliberately_not() -> None:
    alarms = {kind for kind, (weight, _) in MEANING.items() if weight is Weight.ALARM}
    assert alarms == set(CODES) | set(NOT_SENT)
    assert not set(CODES) & set(NOT_SENT)


def test_the_strict_receiver_knows_every_code() -> None:
    for code in (*CODES.values(), DRILL, UNKNOWN):
        assert code.cid in CID
        assert code.sia in SIA
        assert not code.over or code.over in RESTORES


SAMPLES: dict[str, dict[str, object]] = {
    "panic.released": {"stuck": True},
    "door.closed": {"forced": True, "held": True},
}


def test_every_alarm_that_a_record_ends_has_a_word_for_its_end() -> None:
    told = {kind for one in ENDING_KINDS for kind in ends(one, SAMPLES.get(one, {}), (1, 1))}
    assert told == {kind for kind, code in CODES.items() if code.over} - {
        "lane.unasked",
        "panic.chatter",
        "supply.unread",
    }
    assert all(MEANING[kind][0] is Weight.ALARM for kind in told)
    assert [kind for kind in ENDING_KINDS if MEANING[kind][0] is Weight.ALARM] == ["drill.ended"]


def test_letters_for_an_end_are_what_a_receivers_own_table_calls_one() -> None:
    for code in CODES.values():
        if code.over:
            said = SIA_CODES[code.over].type.lower()
            assert "restor" in said or "completed" in said or said == "test end", (code.over, said)


def test_a_drill_is_a_walk_test_and_a_new_kind_is_still_told() -> None:
    assert code_of("panic.pressed") == CODES["panic.pressed"]
    assert code_of("panic.pressed", drill=True) is DRILL
    assert code_of("something.new") is UNKNOWN
    assert code_of("lane.reversal") is None
    mains = code_of("supply.alarm", "supply:mains")
    assert mains is not None
    assert mains.cid == "301"
    assert data_of("ADM-CID", "1234", mains, 0, drill=False, over=True) == "#1234|3301 00 000"
    assert data_of("SIA-DCS", "1234", mains, 0, drill=False, over=True) == "#1234|Nri0/AR000"
    assert data_of("SIA-DCS", "1234", DRILL, 2, drill=True) == "#1234|Nri0/RX002^DRILL^"
    assert data_of("ADM-CID", "1234", DRILL, 2, drill=True) == "#1234|1601 00 002"
