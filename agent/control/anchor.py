"""What the far side last kept of this journal, held against what is here.

A lost end, an old copy put back and a fork are whole and signed as far as the box can see: only the far side knows that
there was more, or something else. Where it does, nothing is signed over that epoch any more, and a new one begins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from agent.control.runtime import Runtime
from agent.core.events import NewEpoch, Note
from agent.journal import compare, epochs
from agent.journal.checkpoint import BadNote, parse
from agent.journal.errors import Damaged, Trouble
from agent.journal.opening import Opened

log = logging.getLogger("menwei.control")


class Anchor:
    """One boot's comparisons. `size` of `epoch` is what was last found to agree, at `at_s` (monotonic)."""

    def __init__(self, opened: Opened, runtime: Runtime, disown: Callable[[int], None]) -> None:
        self._opened = opened
        self._runtime = runtime
        self._disown = disown
        self._loop = asyncio.get_running_loop()
        self._newest: bytes | None = None
        self._task: asyncio.Task[None] | None = None
        self._told: set[str] = set()  # of one kind of trouble a boot tells once
        self.epoch = self.size = 0
        self.at_s: float | None = None

    def compare(self, note: bytes) -> None:
        """The far side's last checkpoint, as it gave it. Judged beside the loop, the newest one only."""
        self._newest = note
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._judge(), name="anchor")

    def ahead(self, epoch: int, seq: int) -> None:
        """The far side says that it has received this record. If it was never written here, our end is lost.

        Its word is not signed, so a boot heeds it once.
        """
        state = self._runtime.state
        if epoch == state.epoch and seq >= state.next_seq and "ahead" not in self._told:
            self._told.add("ahead")
            count = seq - state.next_seq + 1
            what = f"the far side has received {count} records of epoch {epoch} that are not here"
            self._begin_epoch(epochs.next_epoch(self._opened.path.parent, epoch), f"{what}: the end was lost")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _judge(self) -> None:
        while self._newest is not None:
            note, self._newest = self._newest, None
            try:
                what, epoch = await asyncio.to_thread(self._compare, note)
            except BadNote as error:
                self._stranger(f"the far side's checkpoint is none of this box: {error}")
            except (Damaged, Trouble) as error:
                log.warning("the far side's checkpoint could not be compared: %s", error)
            else:
                self._found(note, what, epoch)

    def _compare(self, note: bytes) -> tuple[str, int]:
        """In a thread: what disagrees, and an epoch above all that were ever begun."""
        opened = self._opened
        what = compare.disagreement(opened.path, note, opened.key.public)
        epoch = epochs.next_epoch(opened.path.parent, self._runtime.state.epoch, parse(note).epoch) if what else 0
        return what, epoch

    def _found(self, note: bytes, what: str, epoch: int) -> None:
        theirs = parse(note)
        if not what:
            self.epoch, self.size, self.at_s = theirs.epoch, theirs.size, self._loop.time()
            if "anchored" not in self._told:
                self._told.add("anchored")
                data: dict[str, object] = {"epoch": theirs.epoch, "size": theirs.size}
                self._runtime.handle(Note("journal.anchored", "journal", "box", data))
        elif theirs.epoch >= self._runtime.state.epoch:
            self._begin_epoch(epoch, what)
        else:
            self._problem("far_side", what)  # of an epoch that has ended here already

    def _begin_epoch(self, epoch: int, what: str) -> None:
        state = self._runtime.state
        log.error("journal: %s; epoch %d begins", what, epoch)
        self._disown(state.epoch)
        self._runtime.handle(NewEpoch(epoch, state.next_seq, what))
        self._problem("far_side", f"{what}; epoch {epoch} begins")

    def _stranger(self, what: str) -> None:
        """Anybody can write such a note, and each in other words."""
        if "stranger" not in self._told:
            self._told.add("stranger")
            self._problem("far_side_note", what)

    def _problem(self, code: str, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._runtime.handle(Note("journal.problem", "journal", "box", {"code": code, "what": what}))
