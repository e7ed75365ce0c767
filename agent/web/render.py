"""From the feed to HTML, in parts. A page is its parts in a frame; the stream sends a part again when it changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agent.journal.reader import Row
from agent.locale import LANGUAGES
from agent.web import words as tables
from agent.web.feed import Feed
from agent.web.kinds import GROUPS
from agent.web.ledger import Ledger
from agent.web.view import View
from agent.web.words import Words
from hardware.site import Site

TEMPLATES = Path(__file__).parent / "templates"
PARTS: Mapping[str, tuple[str, ...]] = {
    "status": ("verdict", "findings", "map", "panic", "lanes", "doors", "uplink", "presses", "records"),
    "devices": ("verdict", "devices", "lanes", "doors", "inputs", "box"),
    "events": ("verdict",),
}
Parts = dict[str, str]


class Renderer:
    """Renders views, each once for a version of the feed, however many people look."""

    def __init__(self, feed: Feed, ledger: Ledger, site: Site) -> None:
        self._feed = feed
        self._ledger = ledger
        self._site = site
        self.words = {language: Words(language, site) for language in LANGUAGES}
        self._environments = {language: _environment(self.words[language]) for language in LANGUAGES}
        self._kept: dict[tuple[str, str], tuple[int, Rendered]] = {}

    async def parts(self, name: str, language: str) -> Rendered:
        """The parts of a page as of now."""
        version, kept = self._kept.get((name, language), (0, None))
        if kept is not None and version == self._feed.version:
            return kept
        records: tuple[Row, ...] = ()
        if "records" in PARTS[name]:
            records = await self._ledger.newest(self._feed.head)
        version = self._feed.version
        view = View(self._feed, self._site, self.words[language], records, self._ledger.why)
        environment = self._environments[language]
        html = {part: environment.get_template(f"part_{part}.html").render(v=view) for part in PARTS[name]}
        rendered = Rendered(view, html)
        self._kept[name, language] = (version, rendered)
        return rendered

    def page(self, name: str, language: str, rendered: Rendered, **more: object) -> str:
        """A whole page around its parts."""
        template = self._environments[language].get_template(f"{name}.html")
        return template.render(v=rendered.view, html=rendered.html, page=name, **more)


class Rendered:
    """The parts of one view."""

    __slots__ = ("html", "view")

    def __init__(self, view: View, html: Parts) -> None:
        self.view = view
        self.html = html

    @property
    def head(self) -> dict[str, str]:
        """What concerns the page as a whole: its colour and its title."""
        verdict = self.view.verdict
        sign = {"alarm": "🔴 ", "fault": "⚠ ", "lost": "? "}.get(verdict.state, "")
        name = self.view.site.site.name or self.view.site.site.id
        return {"state": verdict.state, "title": f"{sign}{verdict.title} · {name}"}


def _environment(words: Words) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(words.catalogue, newstyle=True)  # type: ignore[attr-defined]
    environment.policies["ext.i18n.trimmed"] = True
    environment.globals.update(w=words, tables=tables, GROUPS=GROUPS)
    return environment
