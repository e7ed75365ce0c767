"""Two languages, whole: every text comes from the catalogues, and every catalogue has every text."""

from __future__ import annotations

import gettext
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import web_scenes as scenes
from web_rig import Rig

from agent import locale
from agent.core import words as core_words
from agent.core.kinds import MEANING
from agent.locale import FOLDER, LANGUAGES, catalogue
from agent.web import kinds, words
from agent.web.render import PARTS, TEMPLATES
from agent.web.words import Words

SITE = scenes.demo_site(Path("/nowhere"))


def translations(language: str) -> dict[Any, str]:
    with (FOLDER / f"{language}.mo").open("rb") as file:
        return {key: text for key, text in gettext.GNUTranslations(file)._catalog.items() if key}  # type: ignore[attr-defined]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_every_text_of_the_sources_and_no_other(language: str) -> None:
    wanted = {str(message.id) for message in catalogue.extracted() if message.id}
    assert {str(message.id) for message in catalogue.stored(language) if message.id} == wanted, (
        "run: python -m agent.locale.catalogue"
    )
    assert catalogue.untranslated(catalogue.stored(language)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_that_of_its_source(language: str) -> None:
    compiled = translations(language)
    for message in catalogue.stored(language):
        if not message.id:
            continue
        texts = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        one = message.id[0] if isinstance(message.id, (tuple, list)) else message.id
        found = [compiled[key] for key in (one, *((one, n) for n in range(len(texts)))) if key in compiled]
        assert sorted(found) == sorted(str(text) for text in texts), message.id


def test_chinese_is_chinese_and_keeps_every_placeholder() -> None:
    for message in catalogue.stored("zh_CN"):
        if not message.id:
            continue
        sources = message.id if isinstance(message.id, (tuple, list)) else (message.id,)
        texts = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        for text in texts:
            assert re.search(r"[\u2018-\uffef]", str(text)), message.id
            holders = re.findall(r"%\(\w+\)s|%%[st]", sources[-1])
            assert sorted(re.findall(r"%\(\w+\)s|%%[st]", str(text))) == sorted(holders), message.id


def test_every_kind_of_record_has_words() -> None:
    assert set(kinds.TITLES) | kinds.HIDDEN == set(MEANING)
    assert not set(kinds.TITLES) & kinds.HIDDEN


@pytest.mark.parametrize(
    ("vocabulary", "table"),
    [
        (core_words.Position, words.POSITION),
        (core_words.Motion, words.MOTION),
        (core_words.Mode, words.MODE),
        (core_words.Line, words.LINE),
        (core_words.Sensor, words.SENSOR),
        (core_words.Light, words.LIGHT),
        (core_words.Contact, words.CONTACT),
        (core_words.ClockTrust, words.TRUST),
        (core_words.Stage, words.STAGE),
        (core_words.Journal, words.JOURNAL),
    ],
)
def test_every_word_of_a_vocabulary_can_be_said(vocabulary: Any, table: dict[str, str]) -> None:
    assert set(vocabulary) == set(table)


def test_unknown_is_said_as_unknown() -> None:
    for language, text in (("en", "unknown"), ("zh_CN", "未知")):
        w = Words(language, SITE)
        assert w.of(words.LIGHT, None) == w.bytes(None) == w.seconds(None) == w.count(None) == text


def test_times_are_told_in_the_sites_zone() -> None:
    w = Words("en", SITE)
    assert w.clock(scenes.WALL_MS, scenes.WALL_MS) == "16:30:00"
    assert w.clock(scenes.WALL_MS - 86_400_000, scenes.WALL_MS) == "11-22 16:30:00"
    assert w.offset_minutes(scenes.WALL_MS) == 480


def test_an_unknown_language_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        locale.load("tlh")


# ── what is really shown ───────────────────────────────────────────────────────────────────────────────────────────

PLAIN = re.compile(
    r"English|MQTT|SIA|DC-09|GB/T|JSON|STOP|kB|MB|GB|UPS|ms|[\w./-]*(main|service)-\d|run/tty-[\w-]+|gpio:?\d*|loops(:\d)?"
    r"|(calendar|plans)\.toml:\d+|dongfang-primary|gate-1|b1c2d3|plc|cabinet|relays|panic-reset|fire-reset|“fire”|127\.0\.0\.1:\d+"
)
"""What may stand in Latin letters on a Chinese page: ids and addresses of the site file, units, names of protocols."""


class Texts(HTMLParser):
    """Everything a person reads on a page: text, titles, labels."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        shown = ("title", "aria-label", "data-label", "data-seconds", "data-minutes", "data-hours", "data-days")
        self.found += [value for name, value in attrs if value and name in shown]


def texts(html: str) -> list[str]:
    parser = Texts()
    parser.feed(html)
    return [text.strip() for text in parser.found if text.strip()]


SCENES = ("normal", "panic", "plc_dead", "fresh_start")


@pytest.mark.parametrize("scene", SCENES)
async def test_no_text_is_left_untranslated(scene: str, tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.show(getattr(scenes, scene)(rig.site))
    async with rig.client() as client:
        for path in ("/", "/schedule", "/devices", "/events", "/events?group=alarm"):
            answer = await client.get(path)
            for text in texts(answer.text):
                assert not re.search(r"[A-Za-z]{2,}", PLAIN.sub("", text)), (path, text)


async def test_control_away_is_told_in_chinese_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.show(scenes.normal(rig.site))
    rig.feed._lose("silent")
    async with rig.client() as client:
        answer = await client.get("/")
    assert "与门卫箱控制程序失去联系" in answer.text
    for text in texts(answer.text):
        assert not re.search(r"[A-Za-z]{2,}", PLAIN.sub("", text)), text


@pytest.mark.parametrize("scene", SCENES)
async def test_the_english_page_has_no_chinese_but_the_sites_own_names(scene: str, tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.show(getattr(scenes, scene)(rig.site))
    site = "东方小学 南门|主车道|消防通道|人行门[岗外内]?|门卫室(读卡器)?|教务处|闸机[外内]?|中文"
    own = re.compile(f"{site}|护学岗|平日|放学")
    async with rig.client() as client:
        for path in ("/?lang=en", "/schedule?lang=en", "/devices?lang=en", "/events?lang=en"):
            answer = await client.get(path)
            for text in texts(answer.text):
                assert not re.search(r"[\u3000-\u9fff]", own.sub("", text)), (path, text)


@pytest.mark.parametrize("language", ["zh_CN", "en"])
@pytest.mark.parametrize(
    "ident",
    ["still_pressed:office", "drill_running:office", "sensor:loop1", "already", "moving", "fault_persists", "too_old"],
)
def test_what_the_gate_refuses_is_never_told_by_its_id(ident: str, language: str) -> None:
    told = Words(language, SITE).why(ident)
    assert told != ident and "_" not in told


@pytest.mark.parametrize(
    ("kind", "why", "text"),
    [
        ("lane.fault", "plc", "its controller reports a fault"),
        ("lane.reversal", "plc", "the controller turned it round"),
        ("device.lost", "bus plc: unit 1 has been silent for 7.0 s; not asked now", "has been silent for 7.0 s"),
        ("device.lost", "an unknown word", ""),
    ],
)
def test_a_record_tells_its_own_reason(kind: str, why: str, text: str) -> None:
    told = kinds.Told(kind=kind, subject="lane:main", at="", cause=None, data={"why": why})
    detail = kinds.detail(told, Words("en", SITE))
    assert (text in detail) if text else not detail


def test_no_template_speaks_for_itself() -> None:
    """Every text between tags is either an expression or marked; nothing is written straight into a template."""
    for path in TEMPLATES.glob("*.html"):
        source = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", path.read_text("utf-8"), flags=re.S)
        for text in texts(source):
            assert not re.search(r"[A-Za-z\u4e00-\u9fff]{2,}", text) or text in ("JSON", "ms"), (path.name, text)


def test_every_part_has_a_template() -> None:
    for parts in PARTS.values():
        assert all((TEMPLATES / f"part_{part}.html").is_file() for part in parts)
