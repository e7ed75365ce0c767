"""GB/T 28181's three codecs: SIP messages, digest log-in, MANSCDP. Typed from the standards, and mutated at random."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.uplink.gb28181 import digest, manscdp, sip
from agent.uplink.gb28181.digest import BadChallenge, Challenge, Login
from agent.uplink.gb28181.manscdp import BadXml
from agent.uplink.gb28181.sip import BadMessage, Request, Response

REGISTER = b"""REGISTER sip:64010000002000000001@172.18.16.5:5060 SIP/2.0
Via: SIP/2.0/UDP 172.18.16.6:5060;rport;branch=z9hG4bK1106
From: <sip:64010000001170000001@6401000000>;tag=185326220
To: <sip:64010000001170000001@6401000000>
Call-ID: ms1214-322164710-681262131542511620107-0@172.18.16.6
CSeq: 1 REGISTER
Contact: <sip:64010000001170000001@172.18.16.6:5060>
Max-Forwards: 70
Expires: 86400
Content-Length: 0

""".replace(b"\n", b"\r\n")

CHALLENGED = b"""SIP/2.0 401 Unauthorized
To: <sip:64010000001170000001@6401000000>;tag=53592c0
Content-Length: 0
CSeq: 1 REGISTER
Call-ID: ms1214-322164710-681262131542511620107-0@172.18.16.6
From: <sip:64010000001170000001@6401000000>;tag=185326220
Via: SIP/2.0/UDP 172.18.16.6:5060;rport=5060;received=172.18.16.6;branch=z9hG4bK1106
WWW-Authenticate: Digest realm="6401000000",nonce="6fe9ba44a76be22a",opaque="",algorithm=MD5

""".replace(b"\n", b"\r\n")

ALARM_ANSWER = b"""<?xml version="1.0"?>
<Response>
<CmdType>Alarm</CmdType>
<SN>1</SN>
<DeviceID>64010000001340000101</DeviceID>
<Result>OK</Result>
</Response>
"""


def message(body: bytes = ALARM_ANSWER) -> bytes:
    head = b"""MESSAGE sip:64010000001170000001@172.18.16.6:5060 SIP/2.0
Via: SIP/2.0/UDP 172.18.16.5:5060;branch=z9hG4bK77
From: <sip:64010000002000000001@6401000000>;tag=99
To: <sip:64010000001170000001@6401000000>
Call-ID: 32922@172.18.16.5
CSeq: 8 MESSAGE
Content-Type: Application/MANSCDP+xml
Max-Forwards: 70
Content-Length: """
    return head.replace(b"\n", b"\r\n") + str(len(body)).encode() + b"\r\n\r\n" + body


# ── SIP ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_register_is_written_as_the_standard_writes_it() -> None:
    headers = (
        ("Via", "SIP/2.0/UDP 172.18.16.6:5060;rport;branch=z9hG4bK1106"),
        ("From", "<sip:64010000001170000001@6401000000>;tag=185326220"),
        ("To", "<sip:64010000001170000001@6401000000>"),
        ("Call-ID", "ms1214-322164710-681262131542511620107-0@172.18.16.6"),
        ("CSeq", "1 REGISTER"),
        ("Contact", "<sip:64010000001170000001@172.18.16.6:5060>"),
        ("Max-Forwards", "70"),
        ("Expires", "86400"),
    )
    made = Request(headers=headers, method="REGISTER", uri="sip:64010000002000000001@172.18.16.5:5060")
    assert sip.encode(made) == REGISTER
    read = sip.decode(REGISTER)
    assert isinstance(read, Request)
    assert (read.method, read.cseq, read.branch, read.body) == ("REGISTER", (1, "REGISTER"), "z9hG4bK1106", b"")


def test_a_challenge_is_read() -> None:
    said = sip.decode(CHALLENGED)
    assert isinstance(said, Response)
    assert (said.status, said.ok, said.branch, sip.tag_of(said.get("to"))) == (401, False, "z9hG4bK1106", "53592c0")
    assert digest.challenge(said.all("www-authenticate")) == Challenge("6401000000", "6fe9ba44a76be22a", opaque="")


def test_short_names_folded_lines_and_bytes_beyond_the_body_are_read() -> None:
    data = message().replace(b"Call-ID:", b"i:").replace(b"Max-Forwards: 70", b"Subject: a\r\n b") + b"trailing"
    read = sip.decode(data)
    assert (read.get("call-id"), read.get("subject"), read.body) == ("32922@172.18.16.5", "a b", ALARM_ANSWER)


def test_an_answer_repeats_what_it_must_byte_for_byte() -> None:
    asked = sip.decode(message().replace(b"branch=z9hG4bK77", b"branch=z9hG4bK77;x=\xc3\xc5\xce\xc0"))
    assert isinstance(asked, Request)
    said = sip.encode(sip.answer_to(asked, 200, "OK", "our-tag"))
    assert said == (
        b"SIP/2.0 200 OK\r\n"
        b"Via: SIP/2.0/UDP 172.18.16.5:5060;branch=z9hG4bK77;x=\xc3\xc5\xce\xc0\r\n"
        b"From: <sip:64010000002000000001@6401000000>;tag=99\r\n"
        b"To: <sip:64010000001170000001@6401000000>;tag=our-tag\r\n"
        b"Call-ID: 32922@172.18.16.5\r\n"
        b"CSeq: 8 MESSAGE\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_names_and_tags_are_taken_from_the_right_place() -> None:
    assert sip.user_of("<sip:64010000002000000001@6401000000>;tag=99") == "64010000002000000001"
    assert sip.user_of("sip:6401000000") == ""
    assert sip.tag_of("<sip:a@b;tag=false>") == ""
    assert sip.tag_of('"x;tag=no" <sip:a@b>;x=1;tag=yes') == "yes"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"\r\n\r\n", b"\r\n", "empty line"),
        (b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia", "neither"),
        (b"MESSAGE sip:", b"MESSAGE http:", "neither"),
        (b"Call-ID: 32922@172.18.16.5\r\n", b"", "call-id"),
        (b"Call-ID:", b"Call-ID: one\r\nCall-ID:", "call-id"),
        (b"CSeq: 8 MESSAGE", b"CSeq: 8 REGISTER", "another method"),
        (b"CSeq: 8 ", b"CSeq: 2147483648 ", "CSeq"),
        (b"CSeq: 8 ", b"CSeq: eight ", "CSeq"),
        (b"SIP/2.0/UDP", b"HTTP/2.0/UDP", "Via"),
        (b"Content-Length: ", b"Content-Length: 9", "shorter"),
        (b"Content-Length: ", b"Content-Length: -", "Content-Length"),
        (b"Content-Length: ", b"l: 1\r\nContent-Length: ", "Content-Length"),
        (b"Max-Forwards: 70", b"Max Forwards: 70", "without a name"),
        (b"Max-Forwards: 70", b"Max-Forwards", "without a name"),
        (b"Max-Forwards: 70", b"Max-Forwards: 7\x000", "control character"),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\nX: y", "control character"),
        (b"Max-Forwards: 70", b"X: 1\r\n" * 70 + b"Max-Forwards: 70", "too many"),
        (b"Max-Forwards: 70", b"X: " + b"1" * 70000, "too long"),
    ],
)
def test_what_is_no_message_is_refused_with_a_reason(old: bytes, new: bytes, why: str) -> None:
    assert old in message()
    with pytest.raises(BadMessage, match=why):
        sip.decode(message().replace(old, new, 1))


def test_a_header_cannot_smuggle_a_line_in() -> None:
    with pytest.raises(AssertionError):
        sip.encode(Request(headers=(("To", "a\r\nX: y"),), method="MESSAGE", uri="sip:a@b"))


edits = st.lists(
    st.tuples(st.integers(0, len(message())), st.integers(0, 12), st.binary(max_size=12)), min_size=1, max_size=6
)


@given(edits)
def test_a_spoilt_message_raises_nothing_but_the_codecs_own_error(spoils: list[tuple[int, int, bytes]]) -> None:
    data = message()
    for start, length, new in spoils:
        data = data[:start] + new + data[start + length :]
    with contextlib.suppress(BadMessage):
        read = sip.decode(data)
        assert read.branch is not None
        if isinstance(read, Request):
            assert sip.decode(sip.encode(sip.answer_to(read, 200, "OK", "t"))).cseq == read.cseq


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_but_the_codecs_own_error(data: bytes) -> None:
    with contextlib.suppress(BadMessage):
        sip.decode(data)
    with contextlib.suppress(BadMessage):
        sip.body_length(data)


# ── digest ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_vector_of_rfc_2617() -> None:
    asked = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", qop="auth")
    who = Login("Mufasa", "Circle Of Life")
    said = digest.response(asked, who, "GET", "/dir/index.html", 1, "0a4f113b")
    assert said == "6629fae49393a05397450978507c4ef1"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_vectors_of_rfc_7616(algorithm: str, expected: str) -> None:
    asked = digest.challenge(
        [
            'Digest realm="http-auth@example.org", qop="auth, auth-int", '
            f'algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        ]
    )
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    who = Login("Mufasa", "Circle of Life")
    assert digest.response(asked, who, "GET", "/dir/index.html", 1, cnonce) == expected
    header = digest.credentials(asked, who, "GET", "/dir/index.html", 1, cnonce)
    assert header == (
        'Digest username="Mufasa", realm="http-auth@example.org", '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", '
        f'response="{expected}", algorithm={algorithm}, qop=auth, nc=00000001, cnonce="{cnonce}", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )


def test_the_old_form_without_qop() -> None:
    asked = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    who = Login("Mufasa", "Circle Of Life")
    said = digest.credentials(asked, who, "GET", "/dir/index.html", 1, "unused")
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in said
    assert "cnonce" not in said


def test_the_stronger_of_two_challenges_is_answered() -> None:
    both = ['Digest realm="r",nonce="a",algorithm=MD5', 'Digest realm="r", nonce="b", algorithm=SHA-256']
    assert digest.challenge(both).nonce == digest.challenge(both[::-1]).nonce == "b"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("", "Digest"),
        ('Basic realm="r"', "Digest"),
        ('Digest realm="r"', "nonce"),
        ('Digest nonce="n"', "realm"),
        ('Digest realm="r", nonce="n", algorithm=MD5-sess', "algorithm"),
        ('Digest realm="r", nonce="n", qop="auth-int"', "qop"),
        ('Digest realm="r", nonce="n', "cannot be read"),
        ('Digest realm="r", realm="s", nonce="n"', "cannot be read"),
        ('Digest realm="' + "r" * 3000 + '", nonce="n"', "cannot be read"),
    ],
)
def test_a_challenge_that_cannot_be_answered_is_said(header: str, why: str) -> None:
    with pytest.raises(BadChallenge, match=why):
        digest.challenge([header])


def test_a_quote_in_a_challenge_stays_inside_its_quotes() -> None:
    asked = digest.challenge([r'Digest realm="a\"b", nonce="n\\"'])
    assert (asked.realm, asked.nonce) == ('a"b', "n\\")
    assert r'realm="a\"b", nonce="n\\",' in digest.credentials(asked, Login("u", "p"), "REGISTER", "sip:a@b", 1, "c")


@given(st.text(max_size=80))
def test_any_challenge_raises_nothing_but_the_codecs_own_error(text: str) -> None:
    with contextlib.suppress(BadChallenge):
        asked = digest.challenge([f"Digest {text}"])
        digest.credentials(asked, Login("u", "p"), "REGISTER", "sip:a@b", 1, "c")


# ── MANSCDP ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_standards_answer_to_an_alarm_is_read() -> None:
    said = manscdp.read(ALARM_ANSWER, "GB2312")
    assert (said.root, said.kind, said.sn, said.device) == ("Response", "Alarm", 1, "64010000001340000101")
    assert said.fields["Result"] == "OK"


def test_an_alarm_is_written_as_the_standard_writes_it() -> None:
    fields: list[manscdp.Field] = [
        ("AlarmPriority", 1),
        ("AlarmMethod", 2),
        ("AlarmTime", "2009-12-04T16:23:32"),
        ("AlarmDescription", "一键报警 <a & b>"),
        ("Info", [("AlarmType", 2)]),
    ]
    made = manscdp.write("Notify", "Alarm", 1, "64010000001340000101", fields, "GB2312")
    assert made.decode("gb2312").replace("\r\n", "\n") == (
        '<?xml version="1.0" encoding="GB2312"?>\n'
        "<Notify>\n"
        "<CmdType>Alarm</CmdType>\n"
        "<SN>1</SN>\n"
        "<DeviceID>64010000001340000101</DeviceID>\n"
        "<AlarmPriority>1</AlarmPriority>\n"
        "<AlarmMethod>2</AlarmMethod>\n"
        "<AlarmTime>2009-12-04T16:23:32</AlarmTime>\n"
        "<AlarmDescription>一键报警 &lt;a &amp; b&gt;</AlarmDescription>\n"
        "<Info>\n<AlarmType>2</AlarmType>\n</Info>\n"
        "</Notify>\n"
    )


def test_lists_carry_their_count_as_an_attribute() -> None:
    made = manscdp.write(
        "Response", "Catalog", 1, "d", [("DeviceList", [("Item", [("A", "b")])], {"Num": "1"})], "UTF-8"
    )
    assert b'<DeviceList Num="1">\r\n<Item>\r\n<A>b</A>\r\n</Item>\r\n</DeviceList>' in made


@pytest.mark.parametrize("charset", ["GB2312", "GB18030", "UTF-8"])
@given(text=st.text(max_size=30))
def test_any_text_survives_as_far_as_its_charset_holds_it(charset: str, text: str) -> None:
    said = manscdp.read(manscdp.write("Notify", "Alarm", 7, "d", [("X", text)], charset), "UTF-8")
    if charset != "GB2312" and text.isprintable():
        assert said.fields["X"] == text.strip()


@pytest.mark.parametrize(
    ("declared", "agreed", "codec"),
    [
        ("", "GB2312", "gb2312"),
        ("", "UTF-8", "utf-8"),
        (' encoding="gb2312"', "UTF-8", "gbk"),
        (" encoding='UTF-8'", "GB2312", "utf-8"),
    ],
)
def test_the_charset_is_the_declared_one_or_else_the_agreed_one(declared: str, agreed: str, codec: str) -> None:
    text = f'<?xml version="1.0"{declared}?><Notify><SN>1</SN><X>门卫</X></Notify>'
    assert manscdp.read(text.encode(codec), agreed).fields["X"] == "门卫"


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><Notify><SN>1</SN><X>&b;</X></Notify>'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no XML"),
        ("<Notify>", "no XML"),
        (BOMB, "document type"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><Notify><SN>1</SN></Notify>', "document type"),
        ("<Notify><SN>&nbsp;</SN></Notify>", "no XML"),
        ("<Notify></Notify>", "no SN"),
        ("<Notify><SN>-1</SN></Notify>", "no SN"),
        ("<Notify><SN>12345678901</SN></Notify>", "no SN"),
        ("<Notify><SN>1</SN><SN>2</SN></Notify>", "SN twice"),
        ("<a>" * 9 + "</a>" * 9, "too many"),
        ("<Notify>" + "<a/>" * 600 + "</Notify>", "a twice|too many"),
        ("<Notify><SN>1</SN>" + " " * 40000 + "</Notify>", "too long"),
        ('<?xml version="1.0" encoding="utf-7"?><Notify><SN>1</SN></Notify>', "charset"),
        ("<Notify><SN>1</SN><X>\udcff</X></Notify>", "not in charset"),
    ],
)
def test_hostile_xml_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadXml, match=why):
        manscdp.read(text.encode("utf-8", "surrogateescape"), "UTF-8")


@given(edits)
def test_spoilt_xml_raises_nothing_but_the_codecs_own_error(spoils: list[tuple[int, int, bytes]]) -> None:
    data = ALARM_ANSWER
    for start, length, new in spoils:
        data = data[: start % 160] + new + data[start % 160 + length :]
    with contextlib.suppress(BadXml):
        manscdp.read(data, "GB2312")


@given(st.binary(max_size=200), st.sampled_from(["GB2312", "UTF-8"]))
def test_garbage_xml_raises_nothing_but_the_codecs_own_error(data: bytes, charset: str) -> None:
    with contextlib.suppress(BadXml):
        manscdp.read(b"<Notify><SN>1</SN>" + data, charset)
