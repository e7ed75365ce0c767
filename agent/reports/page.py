"""A report as one HTML file for A4 paper, by our own form or by the school's.

A form is a Jinja2 template. It runs in a sandbox: it can show what it is given, and can reach neither files nor the
program. What it is given stands in `docs/reports.md`.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from agent.locale import mark
from agent.reports.layout import Speech, Table, summary
from agent.reports.layout.proof import SIGNATURE
from agent.reports.layout.table import shown
from agent.reports.model import Report
from hardware import plain_file

OWN = Path(__file__).parent / "templates" / "report.html"
MOST_BYTES = 512 << 10  # D: a form of an office is some 20 kB
TITLE = mark("Gate report for the five rules, %(month)s")
SIGNS = (mark("Made by, date"), mark("Checked by, date"), mark("School's seal"))


class BadForm(Exception):
    """A template that cannot be used; `args[0]` names its line and what is wrong there."""


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What a report needs to be made anew, in the head of the file itself."""

    site_box: str
    month: str
    made_ms: int
    up_to_seq: int
    language: str
    names: bool
    notes: dict[int, str]

    @property
    def text(self) -> str:
        """As it stands in the file."""
        return msgspec.json.encode(self).decode()


def seal(report: Report, s: Speech) -> Seal:
    head = report.head
    return Seal(
        site_box=f"{head.site}/{head.box}",
        month=head.month,
        made_ms=head.made_ms,
        up_to_seq=head.up_to_seq,
        language=s.w.language,
        names=s.names,
        notes={one.epoch: one.note for one in head.checkpoints if one.note},
    )


def render(report: Report, tables: tuple[Table, ...], s: Speech, sealed: Seal, form: Path | None = None) -> str:
    """The whole file. Raises BadForm for what is wrong with `form`, OSError where it cannot be read."""
    path = OWN if form is None else form
    name, text = path.name, _read(path)
    try:
        template = _environment().from_string(text)
        return template.render(_given(report, tables, s, sealed))
    except TemplateSyntaxError as error:
        raise BadForm(f"{name}, line {error.lineno}: {error.message}") from error
    except TemplateError as error:
        raise BadForm(f"{name}, line {_line(error.__traceback__)}: {error.message or type(error).__name__}") from error
    except Exception as error:  # whatever a form's own arithmetic runs into is the form's mistake
        raise BadForm(f"{name}, line {_line(error.__traceback__)}: {error}") from error


def _read(path: Path) -> str:
    data = plain_file.read(path, MOST_BYTES)
    if len(data) > MOST_BYTES:
        raise BadForm(f"{path.name} is larger than {MOST_BYTES >> 10} kB: it is no form of a report")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadForm(f"{path.name}, line {line}: not UTF-8 text: save it as UTF-8") from error


def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["shown"] = shown
    return environment


def _given(report: Report, tables: tuple[Table, ...], s: Speech, sealed: Seal) -> dict[str, Any]:
    head = report.head
    return {
        "lang": s.w.html_lang,
        "title": s.t(TITLE, month=head.month),
        "site_name": head.name or head.site,
        "month": head.month,
        "facts": facts(report, s),
        "warnings": warnings(report, s),
        "tables": {table.id: table for table in tables},
        "states": summary.states(report),
        "figures": msgspec.to_builtins(report),
        "seal": sealed.text,
        "signs": [s.t(text) for text in SIGNS],
    }


def facts(report: Report, s: Speech) -> list[tuple[str, str]]:
    """The head of every report, whatever its form: what it is about, and what it stands on."""
    t, head = s.t, report.head
    found = [
        (t("Site and box"), f"{head.site} / {head.box}"),
        (t("Period"), f"{s.time(head.from_ms)} – {s.time(head.until_ms)} ({head.zone})"),
        (t("Made at"), f"{s.time(head.made_ms)}"),
        (t("Records"), f"{head.from_seq}–{head.to_seq} ({head.records})"),
    ]
    for one in head.checkpoints:
        proof = t("signature: %(word)s", word=s.of(SIGNATURE, one.signature))
        what = f"{one.origin or one.epoch} · {one.size} · {one.root or '—'} · {proof}"
        found.append((t("Journal checkpoint"), what))
    return found


def warnings(report: Report, s: Speech) -> list[str]:
    """What nobody may overlook."""
    head, found = report.head, []
    if head.until_ms < head.to_ms:
        found.append(s.t("The month is not over: this report reaches to %(time)s.", time=s.time(head.until_ms)))
    if any(one.signature == "bad" for one in head.checkpoints):
        found.append(s.t("A checkpoint is not signed with this box's key: find out why before you rely on it."))
    if any(one.signature == "none" for one in head.checkpoints):
        found.append(s.t("Some of these records are under no signed checkpoint."))
    if any(one.kind == "box.new_epoch" for one in report.coverage.troubles):
        found.append(s.t("The journal began anew in this month: records before that may be lost."))
    if not s.names:
        found.append(s.t("Single persons are left blank on this page; menwei report on the box shows their numbers."))
    return found


def _line(trace: TracebackType | None) -> int:
    """The innermost line of the form that was being carried out."""
    found = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
