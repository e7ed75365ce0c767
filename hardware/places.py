"""Where a site keeps its things: the one place that resolves the site file's relative paths."""

from __future__ import annotations

from pathlib import Path

from hardware.site import Site


def resolve(site: Site, text: str) -> Path:
    """A path of the site file; a relative one starts at the file's own folder."""
    return Path(site.folder) / text


def storage_dir(site: Site) -> Path:
    """Where the journal and all other state live."""
    return resolve(site, site.storage.dir)


def web_dir(site: Site) -> Path:
    """Where the guard console keeps its accounts, its certificate and the encrypted register."""
    return storage_dir(site) / "web"


def run_dir(site: Site) -> Path:
    """Where the local socket lives."""
    return resolve(site, site.storage.run_dir)


def control_socket(site: Site) -> Path:
    """The Unix socket that control serves."""
    return run_dir(site) / "control.sock"


def device_path(site: Site, text: str) -> Path:
    """The serial device of a bus or reader."""
    return resolve(site, text)
