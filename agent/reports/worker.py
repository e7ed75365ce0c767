"""A report made in a process of its own, for the status page: `python -m agent.reports.worker`, a job on stdin.

A month may take many seconds and some tens of megabytes; neither is the page's to spend. What it made, or why it could
not, is one line of JSON on stdout.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from agent.journal.errors import Damaged, Trouble
from agent.journal.schema import FILE
from agent.reports import files
from agent.reports.job import FORMATS, Done, Job
from agent.reports.make import NoRecords
from agent.reports.month import BadMonth, parse
from agent.reports.page import BadForm
from hardware.places import resolve, storage_dir

NICE = 10  # D: behind everything else the box does


def work(job: Job) -> Done:
    site = job.site
    try:
        month = parse(job.month, ZoneInfo(site.site.timezone), job.made_ms)
        journal = storage_dir(site) / FILE
        form = resolve(site, site.reports.template) if site.reports.template else None
        wanted = files.Wanted(
            folder=Path(job.folder), languages=(job.language,), formats=FORMATS, form=form, names=False
        )
        made = tuple(path.name for path in files.write(site, journal, month, job.made_ms, wanted))
    except (BadMonth, BadForm, NoRecords, Damaged, Trouble) as error:
        return Done(why=str(error))
    except OSError as error:
        return Done(why=f"{error.filename or job.folder}: {error.strerror or error}")
    return Done(files=made)


def _be_modest() -> None:
    """Whatever a school's own form does: the box's other work goes first, and when memory is short this ends first."""
    os.nice(NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def main() -> int:
    _be_modest()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(work(job)) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
