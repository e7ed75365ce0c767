"""Whatever happens to a site file on its way to the box, loading it tells mistakes and never raises."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from site_text_samples import GOOD, judge

from hardware import check, profiles

DEMO = (Path(profiles.__file__).parent / "sites" / "demo.toml").read_text("utf-8")
PATH = Path("gatebox.toml")


def assert_told_or_right(text: str) -> None:
    """A site and no mistakes, or mistakes and no site; each on a line of the file, each with its sentences."""
    site, mistakes = judge(text)
    assert (site is None) == bool(mistakes)
    count = text.count("\n") + 1
    assert all(1 <= mistake.line <= count for mistake in mistakes)
    assert [mistake.line for mistake in mistakes] == sorted(mistake.line for mistake in mistakes)
    check.render(mistakes, PATH, "zh_CN")
    check.to_json(mistakes, PATH)


@given(st.integers(0, len(DEMO)))
@settings(max_examples=150, deadline=None)
def test_a_half_written_file(end: int) -> None:
    assert_told_or_right(DEMO[:end])


@given(st.lists(st.tuples(st.integers(0, len(DEMO)), st.integers(0, 30), st.text(max_size=6)), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_letters_lost_and_letters_strewn_in(edits: list[tuple[int, int, str]]) -> None:
    text = DEMO
    for start, length, new in edits:
        text = text[:start] + new + text[start + length :]
    assert_told_or_right(text)


STRUCTURE = st.sampled_from(
    ['"', "'", '"""', "[", "]", "[[", "{", "}", "=", ",", "\n", "#", ".", "\\", "\r", " 5", "true"]
)


@given(st.lists(st.tuples(st.integers(0, len(DEMO)), STRUCTURE), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_quotes_and_brackets_strewn_in(edits: list[tuple[int, str]]) -> None:
    text = DEMO
    for start, new in edits:
        text = text[:start] + new + text[start:]
    assert_told_or_right(text)


@given(st.lists(st.integers(0, GOOD.count("\n")), min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_lines_lost_doubled_and_shuffled(picked: list[int], random: object) -> None:
    lines = GOOD.split("\n")
    for i, line in enumerate(picked):
        match i % 3:
            case 0:
                lines[line] = ""
            case 1:
                lines.insert(line, lines[line - 1])
            case _:
                lines[line], lines[0] = lines[0], lines[line]
    assert_told_or_right("\n".join(lines))


VALUE = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.text(max_size=8), st.just([]), st.just({}), st.just(["gpio:99"])
)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_value_in_any_place(data: st.DataObject) -> None:
    lines = GOOD.split("\n")
    keyed = [i for i, line in enumerate(lines) if " = " in line and not line.rstrip().endswith("[")]
    row = data.draw(st.sampled_from(keyed))
    key = lines[row].split(" = ")[0]
    lines[row] = f"{key} = {_toml(data.draw(VALUE))}"
    assert_told_or_right("\n".join(lines))


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return "{}" if isinstance(value, dict) else str(value)
