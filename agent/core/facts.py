"""What a by-stander at the gate has seen: raw facts folded from events and outputs, never from the core's own state.

The invariants judge the core by these. They share no helper with the code they judge, so that a wrong helper cannot
hide its own bug. A `Facts` belongs to one run and is the only mutable thing near the core; the core never sees it.
"""

from __future__ import annotations

from agent.core.events import Event, Now, Started
from agent.core.outputs import Outputs
from agent.core.state import BoxState


class Facts:
    """The by-stander's note-book of one run."""

    __slots__ = ()

    def see(self, event: Event, now: Now) -> None:
        """Note what happened in the world, before the step's result is judged."""
        if isinstance(event, Started):
            self.__init__()  # type: ignore[misc]  # a restart forgets all that only the program knew

    def keep(self, new: BoxState, outputs: Outputs, now: Now) -> None:
        """Note what the core asked of the world, after the step has been judged."""
