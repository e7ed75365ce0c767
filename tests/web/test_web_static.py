"""What old browsers do not know may not be in our style and script: Chrome 80 is the oldest we serve."""

from __future__ import annotations

import re

import pytest

from agent.web.assets import FOLDER
from agent.web.console.words import WINDOW_KIND
from agent.web.render import TEMPLATES

TOO_NEW_CSS = {
    r":(is|where|has|focus-visible)\b": "selectors of Chrome 83 to 105",
    r"aspect-ratio": "Chrome 88",
    r"\binset\s*:": "Chrome 87",
    r"@(container|layer|property|scope|starting-style)": "Chrome 85 to 123",
    r"color-mix|oklch|\blab\(|light-dark\(": "colours of Chrome 111",
    r"accent-color|(?<!-)color-scheme\s*:": "Chrome 81 to 93",
    r"\b\d+(dvh|svh|lvh|dvw)\b": "Chrome 108",
    r"subgrid": "Chrome 117",
    r"^\s*&": "nesting, Chrome 112",
    r"content-visibility": "Chrome 85",
    r"text-wrap|line-clamp": "Chrome 114",
    r"(?<![-\w])(translate|rotate|scale)\s*:": "single transforms, Chrome 104",
}
TOO_NEW_JS = {
    r"\|\|=|&&=|\?\?=": "Chrome 85",
    r"\.replaceAll\(|\.at\(|\.findLast|structuredClone|Object\.hasOwn": "Chrome 85 to 98",
    r"replaceChildren|\.toSorted|\.toReversed|Object\.groupBy|Promise\.any": "Chrome 85 to 117",
    r"^\s*await ": "top-level await, Chrome 89",
    r"#[a-z]\w*\s*\(": "private methods, Chrome 84",
    r"AbortSignal\.timeout|crypto\.randomUUID|scheduler\.": "Chrome 92 to 124",
    r"\b\d+_\d+": "fine in 75, but kept out",
    r"https?://": "nothing is loaded from elsewhere",
    r"\beval\(|new Function|innerHTML\s*\+=|document\.write": "never",
}


def style() -> str:
    return "".join((FOLDER / name).read_text("utf-8") for name in ("page.css", "console.css"))


def rules() -> list[str]:
    css = re.sub(r"/\*.*?\*/", "", style(), flags=re.S)
    return re.findall(r"[^{}]+\{[^{}]*\}", css)


@pytest.mark.parametrize("pattern", TOO_NEW_CSS)
def test_style_is_old_enough(pattern: str) -> None:
    css = re.sub(r"/\*.*?\*/", "", style(), flags=re.S)
    assert not re.search(pattern, css, flags=re.M), TOO_NEW_CSS[pattern]


def test_no_gap_between_flex_items() -> None:
    """`gap` works in grids since Chrome 66 as `grid-gap`, between flex items only since 84."""
    for rule in rules():
        assert not re.search(r"(?<![-\w])(gap|row-gap|column-gap)\s*:", rule), rule
        assert not ("display: flex" in rule and "grid-gap" in rule), rule


def test_style_loads_nothing_and_hides_no_focus() -> None:
    css = style()
    assert re.findall(r"url\(([^)]*)\)", css) == ["#hatch"] * css.count("url(")
    assert "@import" not in css and "outline: none" not in css and "outline: 0" not in css


@pytest.mark.parametrize("pattern", TOO_NEW_JS)
@pytest.mark.parametrize("name", ["page.js", "times.js", "morph.js", "console.js"])
def test_script_is_old_enough(name: str, pattern: str) -> None:
    source = re.sub(r"//.*", "", (FOLDER / name).read_text("utf-8"))
    assert not re.search(pattern, source, flags=re.M), TOO_NEW_JS[pattern]


def test_templates_escape_everything_but_our_own_parts() -> None:
    for path in TEMPLATES.glob("*.html"):
        for used in re.findall(r"{{[^}]*\|\s*safe[^}]*}}", path.read_text("utf-8")):
            assert re.fullmatch(r"{{ html(\.\w+|\[part\])\|safe }}", used), (path.name, used)


def test_every_class_of_the_style_is_used() -> None:
    """A class nobody uses is a leftover; a state class comes from a word of the gate."""
    used = " ".join(path.read_text("utf-8") for path in TEMPLATES.glob("*.html"))
    used += " ".join(path.read_text("utf-8") for path in FOLDER.glob("*.js"))
    words = {"cut", "shorted", "disagree", "unread", "occupied", "faulty", "done", "now", "red", "green", "lost"}
    words |= {"alarm", "fault", "warning", "remark", "ok", "info", "off", "unknown", "passage", "fact", "up", "down"}
    words |= {"moving", "pressed", "open", "received", "coming", "unlocked", "on", "none", "clear"}
    words |= {f"w-{kind}" for kind in WINDOW_KIND}
    for rule in rules():
        for name in re.findall(r"\.([a-z][\w-]*)", rule.split("{")[0]):
            stem = re.sub(r"-\d$", "-", name)
            assert name in words or re.search(rf"[\"' .]{re.escape(stem)}", used), name
