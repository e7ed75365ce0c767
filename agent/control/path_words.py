"""What the uplink says of its paths: heeded at once, and of one that comes and goes without end the last word only."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from agent.core.events import PathHealth
from agent.pace import EVERY_S, Pace


class PathWords:
    """Each change of a path is a record: after the first few, one every three seconds, so that a broken or stolen
    uplink does not fill the journal with them. The last word always arrives."""

    def __init__(self, handle: Callable[[PathHealth], object]) -> None:
        self._handle = handle
        self._paces: defaultdict[str, Pace] = defaultdict(Pace)
        self._waiting: dict[str, PathHealth] = {}

    def tell(self, word: PathHealth) -> None:
        """`word.path` is a path of the site file."""
        loop = asyncio.get_running_loop()
        if word.path in self._waiting:
            self._waiting[word.path] = word
        elif self._paces[word.path].may(loop.time()):
            self._handle(word)
        else:
            self._waiting[word.path] = word
            loop.call_later(EVERY_S, self._late, word.path)

    def _late(self, path: str) -> None:
        self._paces[path].may(asyncio.get_running_loop().time())
        self._handle(self._waiting.pop(path))
