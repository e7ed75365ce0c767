"""What the status page and the process that makes reports for it say to each other. Light: the page holds no more."""

from __future__ import annotations

import msgspec

from hardware.site import Site

FORMATS = ("html", "csv", "xlsx")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`folder`, which is there, is written into. Persons are left blank: the page is open to the whole network."""

    site: Site
    month: str
    language: str
    made_ms: int
    folder: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the files in the folder, or `why` there are none."""

    files: tuple[str, ...] = ()
    why: str = ""
