"""From the feed to HTML, in parts. A page is its parts in a frame; the stream sends a part again when it changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

from agent.journal.reader import Row
from agent.locale import LANGUAGES
from agent.reports.layout.speech import Speech
from agent.web import words as tables
from agent.web.feed import Feed
from agent.web.kinds import GROUPS
from agent.web.ledger import Ledger
from agent.web.view import View
from agent.web.words import Words
from hardware.site import Site

TEMPLATES = Path(__file__).parent / "templates"
PARTS: Mapping[str, tuple[str, ...]] = {
    "status": ("verdict", "findings", "map", "panic", "lanes", "doors", "school", "uplink", "presses", "records"),
    "schedule": ("verdict", "schedule", "school"),
    "devices": ("verdict", "devices", "lanes", "doors", "inputs", "box"),
    "events": ("verdict",),
    "reports": ("verdict",),
}
"""page → its parts"""

_SHOWS: Mapping[str, tuple[str, ...]] = {
    "map": ("lanes", "doors", "readers", "panic", "fire", "supplies", "lamps"),
    "panic": ("panic", "fire", "paths"),
    "lanes": ("lanes",),
    "doors": ("doors",),
    "uplink": ("epoch", "paths", "journal", "orders"),
    "presses": ("presses", "hops"),
    "school": ("campus",),
    "schedule": ("campus",),
    "devices": ("devices", "outputs"),
    "inputs": ("readers", "keys", "lamps"),
    "box": ("supplies", "clock", "scanned", "boot", "epoch", "turn_ms", "machine"),
}
"""part → the fields of the picture it shows; it is rendered again only when one of them changed. Others always are."""


class Renderer:
    """Renders views, each once for a version of the feed, however many people look."""

    def __init__(self, feed: Feed, ledger: Ledger, site: Site) -> None:
        self._feed = feed
        self._ledger = ledger
        self._site = site
        self.words = {language: Words(language, site) for language in LANGUAGES}
        self._environments = {name: environment(self.words[name]) for name in LANGUAGES}
        self._kept: dict[tuple[str, str], tuple[int, Rendered]] = {}
        self._kept_parts: dict[tuple[str, str], tuple[object, str]] = {}

    def speech(self, language: str) -> Speech:
        """The words of a report, in which this page leaves every single person blank."""
        return Speech(language, self._site, names=False)

    def warm(self) -> None:
        """Compile every template, which else makes the first page of a slow box slow."""
        for path in TEMPLATES.glob("*.html"):
            self._environments[LANGUAGES[0]].get_template(path.name)

    async def parts(self, name: str, language: str) -> Rendered:
        """The parts of a page as of now."""
        version, kept = self._kept.get((name, language), (0, None))
        if kept is not None and version == self._feed.version:
            return kept
        rows: tuple[Row, ...] = ()
        if "records" in PARTS[name]:
            rows = await self._ledger.newest(self._feed.head)
        version = self._feed.version
        view = View(self._feed, self._site, self.words[language], rows, self._ledger.why)
        rendered = Rendered(view, {part: self._part(part, language, view) for part in PARTS[name]})
        self._kept[name, language] = (version, rendered)
        return rendered

    def _part(self, part: str, language: str, view: View) -> str:
        shows = _SHOWS.get(part)
        if shows is None:
            return self._render(part, language, view)
        key = (view.base, *(getattr(view.p, field) for field in shows))
        known, html = self._kept_parts.get((part, language), (None, ""))
        if known != key:
            html = self._render(part, language, view)
            self._kept_parts[part, language] = (key, html)
        return html

    def _render(self, part: str, language: str, view: View) -> str:
        return self._environments[language].get_template(f"part_{part}.html").render(v=view)

    def page(self, name: str, language: str, rendered: Rendered, **more: object) -> str:
        """A whole page around its parts."""
        template = self._environments[language].get_template(f"{name}.html")
        return template.render(v=rendered.view, html=rendered.html, page=name, **more)


class Compiled(BytecodeCache):
    """Compiled templates, shared by the languages."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED = Compiled()


class Rendered:
    """The parts of one view."""

    __slots__ = ("html", "view")

    def __init__(self, view: View, html: dict[str, str]) -> None:
        self.view = view
        self.html = html

    @property
    def head(self) -> dict[str, str]:
        """What concerns the page as a whole: its colour and its title."""
        verdict = self.view.verdict
        sign = {"alarm": "🔴 ", "fault": "⚠ ", "lost": "? "}.get(verdict.state, "")
        name = self.view.site.site.name or self.view.site.site.id
        return {"state": verdict.state, "title": f"{sign}{verdict.title} · {name}"}


def environment(words: Words) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        bytecode_cache=_COMPILED,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(words.catalogue, newstyle=True)  # type: ignore[attr-defined]
    environment.policies["ext.i18n.trimmed"] = True
    environment.globals.update(w=words, tables=tables, GROUPS=GROUPS)
    return environment
