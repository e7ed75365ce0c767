"""The site file as a command finds it: loaded and checked, or every mistake told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardware.site import Site

DEFAULT_SITE = Path("/boot/firmware/gatebox.toml")


def load_site(path: Path) -> Site | None:
    """The checked site, or None after every mistake was told on stderr."""
    from hardware import check, loader

    site, mistakes = loader.load(path)
    if mistakes:
        sys.stderr.write(check.render(mistakes, path) + "\n")
        return None
    return site
