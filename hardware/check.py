"""What `menwei check` prints: one line for each mistake, or JSON. Exit code 0 without mistakes, 2 with any."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hardware.mistakes import Language, Mistake

_FINE = {"en": "{path}: no mistakes", "zh_CN": "{path}：没有错误"}
_COUNT = {"en": "{count} mistakes: nothing was started", "zh_CN": "共 {count} 处错误：没有启动任何东西"}
_COUNT_ONE = {"en": "1 mistake: nothing was started", "zh_CN": "1 处错误：没有启动任何东西"}


def render(mistakes: Sequence[Mistake], path: Path, language: Language = "en") -> str:
    """`gatebox.toml:41  lane.main.prewarn_s  what is wrong  → what would be right`, aligned; a count at the end."""
    if not mistakes:
        return _FINE[language].format(path=path)
    places = [f"{path}:{mistake.line}" for mistake in mistakes]
    widths = max(map(len, places)), min(40, max(len(mistake.key) for mistake in mistakes))
    rows = [_row(place, mistake, widths, language) for place, mistake in zip(places, mistakes, strict=True)]
    closing = _COUNT_ONE if len(mistakes) == 1 else _COUNT
    return "\n".join([*rows, closing[language].format(count=len(mistakes))])


def _row(place: str, mistake: Mistake, widths: tuple[int, int], language: Language) -> str:
    wrong, right = mistake.told(language)
    return f"{place:<{widths[0]}}  {mistake.key:<{widths[1]}}  {wrong}  → {right}"


def to_json(mistakes: Sequence[Mistake], path: Path, language: Language = "en") -> str:
    """`{"file","ok","mistakes":[{"line","key","code","wrong","right"}]}` on one line."""
    told = [(mistake, *mistake.told(language)) for mistake in mistakes]
    listed = [
        {"line": mistake.line, "key": mistake.key, "code": mistake.code, "wrong": wrong, "right": right}
        for mistake, wrong, right in told
    ]
    return json.dumps({"file": str(path), "ok": not mistakes, "mistakes": listed}, ensure_ascii=False)
