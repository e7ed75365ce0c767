"""Technical reasons in the reader's language: each sentence that a driver, an uplink or the journal can make is known,
and what is not known is shown as it came."""

from __future__ import annotations

import ast
import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import web_scenes as scenes

from agent.journal import errors
from agent.uplink.reach import why_not
from agent.web import reasons
from agent.web.words import Words
from drivers import modbus_bus

ROOT = Path(__file__).parents[2]
SITE = scenes.demo_site(Path("/nowhere"))
ZH, EN = Words("zh_CN", SITE), Words("en", SITE)

# Where reasons are made, and by what.
SOURCES = (
    *("drivers/gpio.py", "drivers/gpio_pins.py", "drivers/keeper.py", "drivers/modbus_bus.py"),
    *("drivers/modbus_gate.py", "drivers/modbus_link.py", "drivers/modbus_wire.py", "drivers/pigpio_link.py"),
    *("drivers/reader.py", "drivers/serial_words.py"),
    *("agent/uplink/reach.py", "agent/uplink/mqtt.py", "agent/uplink/role.py", "agent/uplink/health.py"),
    *("agent/uplink/redis/link.py", "agent/uplink/redis/path.py", "agent/uplink/redis/records.py"),
    *("agent/uplink/redis/alarms.py", "agent/uplink/dc09/link.py", "agent/uplink/dc09/path.py"),
    *("agent/uplink/gb28181/wire.py", "agent/uplink/gb28181/session.py", "agent/uplink/gb28181/path.py"),
    *("agent/uplink/gb28181/transactions.py", "agent/link.py"),
    *("agent/journal/errors.py", "agent/journal/writer.py", "agent/journal/store.py", "agent/web/reports.py"),
)
MAKERS = {
    "Trouble",
    "ControlAway",
    "LinkLost",
    "NoAnswer",
    "BadFrame",
    "Refused",
    "BrokerLost",
    "RedisLost",
    "_lose",
    "_refused",
    "Found",
}
TELLERS = {"why_not", "serial_trouble", "trouble", "puback_trouble", "_no_way", "_words", "_why", "_verdict", "_fork"}
SAID = {  # what a name in a sentence stands for, where any word would be too little
    "head": "bus X1: unit X1, reading X1 from X1 (function X1):",
    "reason": "refuses",
    "what": "records",
    "words": "the card is full",
}
UNSEEN = {"given up", "never connected"}  # told to nobody: the error that goes on says more


def made_in(path: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each sentence, with a word in the place of what changes."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    for node in ast.walk(tree):
        found: list[ast.expr] = []
        if isinstance(node, ast.Call) and _name(node.func) in MAKERS:
            found = [*node.args[:2], *(word.value for word in node.keywords if word.arg in ("note", "why"))]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in TELLERS:
            found = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value]
        for one in found:
            for part in _parts(one):
                yield one.lineno, part


def _name(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _parts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if " " in text:
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(v.value if isinstance(v, ast.Constant) else _hole(v) for v in values)  # type: ignore[misc]
        case ast.Tuple(elts=elements):
            for element in elements:
                yield from _parts(element)
        case ast.BinOp(left=left):
            yield from _parts(left)
        case ast.IfExp(body=body, orelse=other):
            yield from _parts(body)
            yield from _parts(other)


def _hole(value: ast.expr) -> str:
    told = value.value if isinstance(value, ast.FormattedValue) else value
    if isinstance(told, ast.Call) and _name(told.func) == "_hint":
        return ""
    return SAID.get(told.id, "X1") if isinstance(told, ast.Name) else "X1"


def known(text: str) -> bool:
    """To its last part: a hole that holds a sentence holds a known one."""
    return reasons.say(text, lambda msgid: "§" + msgid) != text


def test_every_sentence_of_the_sources_is_known() -> None:
    made = {(path, line, text) for path in SOURCES for line, text in made_in(path)}
    assert len(made) > 80, "the search finds what it is meant to find"
    assert sorted(one for one in made if not known(one[2]) and one[2] not in UNSEEN) == []
    for words in (*modbus_bus._REFUSALS.values(), *(f"{words} (X1)" for words in errors._WORDS.values())):
        assert known(words if words.endswith("(X1)") else f"bus X1: unit X1 {words}, exception 2 on X1"), words


def test_a_sentence_that_nobody_knows_is_missed_by_the_search_of_the_sources() -> None:
    assert not known("the moon stands in the way")


@pytest.mark.parametrize(
    "reason",
    [
        why_not(ConnectionRefusedError(111, "Connect call failed ('10.0.0.9', 8883)"), "10.0.0.9", 8883),
        why_not(OSError(113, "Connect call failed ('10.0.0.9', 8883)"), "10.0.0.9", 8883),
        why_not(TimeoutError(), "10.0.0.9", 8883),
        why_not(socket.gaierror(-3, "Temporary failure in name resolution"), "10.0.0.9", 1),
        "the certificate of 10.0.0.9:8883 is not trusted: certificate has expired",
        "the certificate of 10.0.0.9:1 is not trusted: IP address mismatch, certificate is not valid for '10.0.0.9'.",
        "bus 1: cannot connect to 10.0.0.9:502 (No route to host): is the PLC on, the cable in, the address right?",
        "bus 1: unit 3, reading 4 from 0 (function 4): no answer within 214 ms",
        "bus 1: unit 3 has been silent for 7.2 s; not asked now",
        "it did not open within 2 s",
        "10.0.0.9:7700 does not answer; 10.0.0.9:7701 closed the connection without an answer",
        "the broker closed the connection at once (does it know this box's certificate?)",
        "the platform has missed 3 signs of life in a row",
        "the card refuses: No space left on device",
        "reader 1 at 2: unplugged (Input/output error)",
    ],
)
def test_a_reason_is_told_in_the_readers_language_alone(reason: str) -> None:
    told = ZH.reason(reason)
    assert re.sub(r"\b(TLS|PLC|MQTT|Redis|ms|s)\b", "", told).isascii() is False
    assert not re.search(r"[A-Za-z]{3,}", re.sub(r"\b(TLS|PLC|MQTT|Redis)\b", "", told)), told
    assert EN.reason(reason) == reason
    assert "10.0.0.9" in told or "10.0.0.9" not in reason


def test_what_is_not_known_is_shown_as_it_came() -> None:
    for reason in ("", "ERR the moon stands in the way", "x" * 5000, "%s %(why)s %d", "; ; ;", "closed (" * 60):
        assert ZH.reason(reason) == reason
    told = ZH.reason("the connection to Redis broke: a%(why)s %s b: c")
    assert told.endswith("a%(why)s %s b: c") and not told.startswith("the")


def test_a_far_side_that_answers_cleverly_costs_no_time() -> None:
    """The search for a sentence in any text of the allowed length is bounded, by a count of what it may try."""
    longest = max(len(re.findall(r"\.\+\?", reasons._pattern(text).pattern)) for text in reasons.REASONS)
    assert longest <= 2
    assert reasons.say("a: " * (reasons.MOST // 3), lambda text: text)


async def test_real_refusals_read_well_in_both_languages() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(OSError) as refused:
            await asyncio.open_connection("127.0.0.1", port)
    reason = why_not(refused.value, "127.0.0.1", port)
    assert (EN.reason(reason), ZH.reason(reason)) == (
        f"nobody listens at 127.0.0.1:{port}",
        f"127.0.0.1:{port} 拒绝连接（那里没有程序在监听）",
    )
    bad = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    bad.reason = "WRONG_VERSION_NUMBER"
    assert "TLS" in ZH.reason(why_not(bad, "h", 1)) and "VERSION" not in ZH.reason(why_not(bad, "h", 1))
