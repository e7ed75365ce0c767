"""The plain page of a receiving side: a title, a table, itself anew every two seconds."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; font: 15px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.2rem; margin: 0; } p { margin: .2rem 0 1rem; opacity: .75; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .45rem .6rem; border-bottom: 1px solid #8886; overflow-wrap: anywhere; }
th { font-size: .85rem; }
"""


def page(title: str, told: str, heads: Iterable[str], rows: Iterable[Iterable[str]], nothing: str) -> str:
    """`told` stands under the title, `nothing` where there is no row. Every text is told as it is."""
    columns = tuple(heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in rows)
    body = body or f'<tr><td colspan="{len(columns)}">{escape(nothing)}'
    return (
        "<!doctype html><html lang='zh-CN'><meta charset='utf-8'><meta http-equiv='refresh' content='2'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'><link rel='icon' href='data:,'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1><p>{escape(told)}</p>"
        f"<table><tr>{''.join(f'<th>{escape(head)}' for head in columns)}{body}</table>"
    )
