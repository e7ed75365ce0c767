"""The district's keys as the site file names them, and read again while the box runs: no change needs a restart.

Of a changed site file only `[[uplink.command_key]]` is taken, everything else waits for the next start. What cannot be
read leaves in force what was, and is told; an entry that is gone takes its key away at once, whatever else is broken.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from agent.journal.keys import BadKey, load_public
from agent.site_rules import midnight_ms
from hardware import loader, places
from hardware.mistakes import Mistake
from hardware.site import CommandKey, Site

LOOK_EVERY_S = 5.0  # D: a change counts when it has stood for one look: files are not always written in one go
MOST_BYTES = 4096
TOLD = 8  # troubles written into one record

log = logging.getLogger("menwei.control")
_Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]


class Key(msgspec.Struct, frozen=True):
    """A public key of the far side; `from_ms` inclusive, `to_ms` exclusive, UTC; 0 = no limit. `file` as the site file
    names it."""

    id: str
    file: str
    public: bytes
    from_ms: int
    to_ms: int

    def holds_at(self, wall_ms: int) -> bool:
        return self.from_ms <= wall_ms and (not self.to_ms or wall_ms < self.to_ms)

    def told(self) -> str:
        """Name and fingerprint, for a record: the first 16 hex digits of the public key's SHA-256."""
        return f"{self.id} {sha256(self.public).hexdigest()[:16]}"


class Keys(msgspec.Struct, frozen=True):
    """What is in force, and what could not be read."""

    keys: tuple[Key, ...] = ()
    troubles: tuple[str, ...] = ()


class KeyFiles:
    """The site file and the key files it names. `look` may wait for the card: call it in a thread."""

    def __init__(self, site: Site, file: Path | None) -> None:
        """`file` is where `site` was read from; without it only the key files are looked at again."""
        self._site = site
        self._file = file
        self._entries: Sequence[CommandKey] = site.uplink.command_key
        self.now = self._read_keys({}, ())
        self._read_at = self._seen = self._stamp()

    def look(self) -> Keys | None:
        """What holds now, when a file has changed since it was read and has stood still since the last look."""
        seen, self._seen = self._seen, self._stamp()
        if self._seen == self._read_at or self._seen != seen:
            return None
        troubles = self._read_site()
        self.now = self._read_keys({key.id: key for key in self.now.keys}, troubles)
        self._read_at = self._seen = self._stamp()  # of other files now, where the entries changed
        return self.now

    def _stamp(self) -> _Stamp:
        files = [places.resolve(self._site, one.file) for one in self._entries]
        return tuple(_stamp(path) for path in (*((self._file,) if self._file else ()), *files))

    def _read_site(self) -> tuple[str, ...]:
        """Take the entries of the site file, or tell why they stay as they are."""
        if self._file is None:
            return ()
        site, mistakes = loader.load(self._file)
        if site is None:
            return (_in_words(self._file, mistakes),)
        self._entries = site.uplink.command_key
        return ()

    def _read_keys(self, before: Mapping[str, Key], troubles: Sequence[str]) -> Keys:
        """Every entry's key; of one whose file cannot be read the key that was read from that file before."""
        zone = ZoneInfo(self._site.site.timezone)
        keys, told = [], list(troubles)
        for one in self._entries:
            was = before.get(one.id)
            try:
                public = _public(places.resolve(self._site, one.file))
            except (OSError, BadKey) as error:
                kept = was is not None and was.file == one.file
                told.append(f"{one.id}: {one.file} cannot be used, {_why(error)}{'; the key before it stays' * kept}")
                if was is None or not kept:
                    continue
                public = was.public
            limits = midnight_ms(one.valid_from, zone, 0), midnight_ms(one.valid_to, zone, 1)
            keys.append(Key(one.id, one.file, public, *limits))
        for trouble in told:
            log.warning("[[uplink.command_key]] %s", trouble)
        return Keys(tuple(keys), tuple(told[:TOLD]))


def _public(path: Path) -> bytes:
    """Raises OSError or BadKey."""
    if not stat.S_ISREG(path.stat().st_mode) or path.stat().st_size > MOST_BYTES:
        raise BadKey("this is no key file")
    return load_public(path.read_bytes())


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _why(error: OSError | BadKey) -> str:
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _in_words(file: Path, mistakes: Sequence[Mistake]) -> str:
    first = mistakes[0]
    return f"{file.name} has {len(mistakes)} mistakes, the first in line {first.line}: no key of it was changed"
