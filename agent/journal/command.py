"""`menwei journal verify | export | prove`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.journal.errors import Damaged, Trouble
from hardware import plain_file

if TYPE_CHECKING:
    from agent.journal.verify import Report

OK, WRONG, MISUSE = 0, 1, 2


def run(words: Sequence[str]) -> int:
    """Run the verb chosen; returns its exit code."""
    arguments = _parser().parse_args(words)
    code: int = arguments.run(arguments)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="menwei journal", description="verify, export and prove what the journal holds"
    )
    verbs = parser.add_subparsers(title="journal verbs", required=True, metavar="VERB")
    verify = verbs.add_parser("verify", help="verify chain, trees and checkpoints; names the first bad record")
    verify.add_argument("file", type=Path)
    verify.add_argument("--checkpoint", type=Path, metavar="F", help="a signed checkpoint kept elsewhere")
    verify.add_argument("--key", type=Path, metavar="F", help="the box's public key, kept elsewhere")
    verify.add_argument("--json", action="store_true")
    verify.set_defaults(run=_verify)
    export = verbs.add_parser("export", help="the records as text; evicted ones are shown as evicted")
    export.add_argument("--format", choices=("jsonl", "csv"), default="jsonl")
    export.add_argument("--from", dest="start", metavar="WHEN", help="a record's number, or a time in UTC: 2026-09-01")
    export.add_argument("--to", dest="end", metavar="WHEN", help="the same, included")
    _add_file(export)
    export.set_defaults(run=_export)
    prove = verbs.add_parser("prove", help="prove one record to someone who has only the box's public key")
    prove.add_argument("seq", type=int)
    prove.add_argument("--since", type=Path, metavar="F", help="an older checkpoint kept elsewhere, to continue from")
    _add_file(prove)
    prove.set_defaults(run=_prove)
    return parser


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", type=Path, help="the journal file; without it the site file tells")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the site file")


# ── verify ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _verify(arguments: argparse.Namespace) -> int:
    from agent.journal.keys import BadKey, load_public
    from agent.journal.verify import verify

    try:
        key = load_public(_small_file(arguments.key)) if arguments.key is not None else None
        checkpoint = _small_file(arguments.checkpoint) if arguments.checkpoint is not None else None
        plain_file.check(arguments.file)
    except BadKey as error:
        return _misuse(f"{arguments.key}: {error}")
    except FileNotFoundError as error:
        return _misuse(f"{error.filename}: there is no such file")
    except OSError as error:
        return _misuse(f"{error.filename}: {error.strerror}")
    report = verify(arguments.file, checkpoint, key)
    sys.stdout.write(_as_json(report) if arguments.json else _in_words(report))
    return OK if report.ok else WRONG


def _small_file(path: Path) -> bytes:
    return plain_file.read(path, 1 << 20)


def _as_json(report: Report) -> str:
    return msgspec.json.encode(report, order="sorted").decode() + "\n"


def _in_words(report: Report) -> str:
    lines = [f"journal of {report.site_box or '?'}: {report.records} records, {report.checkpoints} checkpoints hold"]
    if report.evicted:
        untold = f"; {report.untold} of them no record tells: taken out by hand?" if report.untold else ""
        lines.append(f"evicted bodies: {report.evicted} (their hashes are in the chain){untold}")
    if report.pruned:
        untold = "; no record tells it: a file begun after damage, or cut by hand" if report.pruned_untold else ""
        lines.append(f"pruned: up to record {report.pruned} (the chain goes on from there){untold}")
    lines += [f"epoch {t.epoch}: records {t.first_seq} to {t.last_seq}, root {t.root}" for t in report.epochs]
    if not report.ok:
        at = f"first bad record: {report.first_bad_seq}\n" if report.first_bad_seq is not None else ""
        return "\n".join(lines) + f"\nNOT OK: {report.what}\n{at}"
    if not report.signed:
        lines.append("signatures were not checked: give --key with the box's public key")
    if not report.anchored:
        lines.append("a rewritten or older copy would not show: give --checkpoint with one kept elsewhere")
    return "\n".join(lines) + "\nOK\n"


# ── export and prove ───────────────────────────────────────────────────────────────────────────────────────────────


def _export(arguments: argparse.Namespace) -> int:
    from agent.journal.export import Bound, export

    try:
        start = Bound.parse(arguments.start) if arguments.start else None
        end = Bound.parse(arguments.end) if arguments.end else None
        path = _journal(arguments)
        for line in export(path, arguments.format, start, end):
            sys.stdout.write(line)
    except (ValueError, FileNotFoundError) as error:
        return _misuse(str(error))
    except (Trouble, Damaged) as error:
        return _wrong(str(error))
    return OK


def _prove(arguments: argparse.Namespace) -> int:
    from agent.journal.prove import Unprovable, prove

    try:
        since = _small_file(arguments.since) if arguments.since is not None else None
        proof = prove(_journal(arguments), arguments.seq, since)
    except FileNotFoundError as error:
        return _misuse(f"{error.filename}: there is no such file" if error.filename else str(error))
    except (Unprovable, Trouble, Damaged) as error:
        return _wrong(str(error))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(proof), indent=2).decode() + "\n")
    return OK


def _journal(arguments: argparse.Namespace) -> Path:
    """The journal file meant. Raises FileNotFoundError in field words."""
    path: Path | None = arguments.file
    if path is None:
        path = _of_site(arguments.config)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no journal here")
    return path


def _of_site(config: Path | None) -> Path:
    from agent.journal.schema import FILE
    from agent.site_file import DEFAULT_SITE, load_site
    from hardware.places import storage_dir

    site = load_site(config if config is not None else DEFAULT_SITE)
    if site is None:
        raise FileNotFoundError("without a sound site file, name the journal with --file")
    return storage_dir(site) / FILE


def _misuse(text: str) -> int:
    sys.stderr.write(f"menwei journal: {text}\n")
    return MISUSE


def _wrong(text: str) -> int:
    sys.stderr.write(f"menwei journal: {text}\n")
    return WRONG
