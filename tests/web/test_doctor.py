"""`menwei doctor`: what is wrong is told with its place and cure, and what could not be looked at is never well."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import web_journal
import web_scenes as scenes
from cryptography import x509
from msgspec.structs import replace
from scripted_control import ScriptedControl

from agent.doctor import command, looks
from agent.picture import Picture
from agent.web.console import certificate
from agent.web.findings import Finding, Weight
from agent.web.words import AREA, Words
from hardware import places
from hardware.site import Mqtt, Site, Web

NOW = datetime.now(UTC)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The demo's site with a journal, and no page to ask."""
    made = scenes.demo_site(tmp_path, listen=())
    web_journal.write(made)
    return made


def english(site: Site) -> Words:
    return Words("en", site)


async def examined(site: Site, picture: Picture) -> command.Told:
    async with ScriptedControl(places.control_socket(site), picture):
        return await command.examine(site, english(site))


def wrong(seen: Iterator[Finding | str]) -> list[Finding]:
    return [one for one in seen if isinstance(one, Finding)]


# ── the box ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_sound_box_is_well_and_says_what_was_looked_at(site: Site) -> None:
    told = await examined(site, scenes.normal(site))
    assert told.ok and not [one for one in told.findings if one.weight != Weight.REMARK]
    assert {"Bollards", "Panic", "Uplink", "Journal on disk up to record 1840"} <= set(told.well)
    assert list(command.lines(told, english(site)))[-1] == "All is well."


async def test_a_dead_controller_is_told_with_its_place_and_cure(site: Site) -> None:
    told = await examined(site, scenes.plc_dead(site))
    text = "\n".join(command.lines(told, english(site)))
    assert not told.ok and "Bollards" not in told.well
    assert (
        "✗ fault  No answer: field bus “plc”\n    Without it: lane “主车道”, lane “消防通道”\n    Check the cable"
        in text
    )
    assert "Look at: 127.0.0.1:11502" in text and text.endswith("4 things need attention")


async def test_it_speaks_chinese(site: Site) -> None:
    async with ScriptedControl(places.control_socket(site), scenes.plc_dead(site)):
        told = await command.examine(site, Words("zh_CN", site))
    text = "\n".join(command.lines(told, Words("zh_CN", site)))
    assert "✗ 故障  无应答：现场总线“plc”" in text and "检查位置：" in text and "处需要处理" in text


async def test_a_box_that_has_not_read_its_inputs_is_not_well(site: Site) -> None:
    assert not (await examined(site, scenes.fresh_start(site))).ok


async def test_with_control_away_nothing_is_called_well_that_control_alone_knows(site: Site) -> None:
    told = await command.examine(site, english(site))
    assert not told.ok and not set(told.well) & set(AREA.values())
    assert "control is not running" in told.findings[0].detail and told.findings[0].check == "menwei-control"


async def test_a_control_of_another_version_is_told_as_such(site: Site) -> None:
    async with ScriptedControl(places.control_socket(site), scenes.normal(site)) as control:
        control._state = lambda: {"panic": 1}  # type: ignore[method-assign]
        told = await command.examine(site, english(site))
    assert told.findings[0].detail == "its picture cannot be read: it is of another version"


def test_the_exit_code_and_the_json_say_the_same(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(site, as_json=True, language="en") == command.WRONG
    assert capsys.readouterr().out.startswith('{"ok":false,')


# ── the journal's file ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_journal_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    bare = scenes.demo_site(tmp_path, listen=())
    told = await examined(bare, scenes.normal(bare))
    assert [one.text for one in told.findings if one.area == "journal"] == ["The journal's file cannot be read"]


@pytest.mark.parametrize("change", [{"head": scenes.HEAD + 1}, {"epoch": scenes.EPOCH + 1}], ids=["behind", "epoch"])
async def test_a_journal_that_is_not_the_one_control_writes_is_a_fault(site: Site, change: dict[str, int]) -> None:
    told = await examined(site, replace(scenes.normal(site), **change))
    assert "The journal's file is not the one that control writes" in [one.text for one in told.findings]


# ── the pages ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Page(BaseHTTPRequestHandler):
    """A page that answers every question with `code` and `body`."""

    code, body = 200, b""

    def do_GET(self) -> None:  # the base class calls it so
        self.send_response(self.code)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Told", (Page,), {})) as made:
        thread = Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()


def test_a_page_that_says_control_is_silent_is_a_fault_in_its_own_words(
    site: Site, server: ThreadingHTTPServer
) -> None:
    where = f"127.0.0.1:{server.server_port}"
    listening = replace(site, web=Web(listen=(where,)))
    assert not wrong(looks.pages(listening, english(site)))
    server.RequestHandlerClass.code, server.RequestHandlerClass.body = 503, b'{"why": "control is silent"}'  # type: ignore[attr-defined]
    [found] = wrong(looks.pages(listening, english(site)))
    assert (found.check, found.detail) == (where, "control is silent")


def test_a_page_that_nobody_serves_is_a_fault(site: Site) -> None:
    with socket.socket() as bound:  # and does not listen: whoever asks is refused
        bound.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{bound.getsockname()[1]}"
        [found] = wrong(looks.pages(replace(site, web=Web(listen=(where,))), english(site)))
    assert (found.check, found.detail) == (where, f"nobody listens at {where}")


@pytest.mark.parametrize(("signed", "well"), [("own", True), ("stranger", False)])
def test_the_console_is_well_under_the_certificate_alone_that_tablets_trust(
    site: Site, server: ThreadingHTTPServer, tmp_path: Path, signed: str, well: bool
) -> None:
    own, stranger = places.web_dir(site), tmp_path / "stranger"
    for folder in (own, stranger):
        certificate.ensure(folder, ("127.0.0.1", "localhost"), NOW)
    shown = own if signed == "own" else stranger
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown / certificate.LEAF, shown / certificate.LEAF_KEY)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    web = Web(listen=(), guard_listen=(f"0.0.0.0:{server.server_port}",))
    seen = wrong(looks.pages(replace(site, web=web), english(site)))
    assert (not seen) is well
    assert well or "is not trusted" in seen[0].detail


# ── certificates and secrets ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("days_left", "told"),
    [
        (-1, [(Weight.FAULT, "A certificate has run out")]),
        (29, [(Weight.WARNING, "A certificate runs out soon")]),
        (31, []),
    ],
)
def test_a_certificate_is_told_a_month_before_it_runs_out(
    site: Site, tmp_path: Path, days_left: int, told: list[tuple[Weight, str]]
) -> None:
    certificate.ensure(tmp_path, ("gate.lan",), NOW)
    way = Mqtt(host="broker.lan", cert_file=certificate.LEAF)
    secured = replace(site, folder=str(tmp_path), uplink=replace(site.uplink, mqtt=way))
    ends = x509.load_pem_x509_certificates((tmp_path / certificate.LEAF).read_bytes())[0].not_valid_after_utc
    seen = wrong(looks.certificates(secured, english(site), ends - timedelta(days=days_left, hours=-1)))
    assert [(one.weight, one.text) for one in seen] == told


def test_a_certificate_that_is_none_is_a_fault(site: Site, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    way = Mqtt(host="broker.lan", ca_file="ca.pem", cert_file="gone.pem")
    secured = replace(site, folder=str(tmp_path), uplink=replace(site.uplink, mqtt=way))
    seen = wrong(looks.certificates(secured, english(site), NOW))
    assert [Path(one.check).name for one in seen] == ["ca.pem", "gone.pem"]


def test_a_pipe_in_place_of_a_certificate_is_a_fault_and_never_waited_for(site: Site, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem")
    secured = replace(
        site, folder=str(tmp_path), uplink=replace(site.uplink, mqtt=Mqtt(host="broker.lan", ca_file="ca.pem"))
    )
    [found] = wrong(looks.certificates(secured, english(site), NOW))
    assert "pipe" in found.detail


def test_a_secret_that_everybody_can_read_is_told(site: Site, tmp_path: Path) -> None:
    way = Mqtt(host="broker.lan", password_file="district.password")
    secured = replace(site, folder=str(tmp_path), uplink=replace(site.uplink, mqtt=way))
    secret = tmp_path / "district.password"
    secret.write_text("x")
    secret.chmod(0o640)
    assert not wrong(looks.secrets(secured, english(site)))
    secret.chmod(0o644)
    assert [one.check for one in wrong(looks.secrets(secured, english(site)))] == [str(secret)]
