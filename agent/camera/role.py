"""The camera role. This build of the box has no camera fitted, and says so instead of pretending to watch."""

from __future__ import annotations

import logging

from hardware.site import Site

log = logging.getLogger("menwei.camera")


def run(site: Site) -> int:
    """Answer "not fitted" and end well: nothing else may notice."""
    log.info("camera: not fitted at %s/%s; no pictures are taken", site.site.id, site.site.box)
    return 0
