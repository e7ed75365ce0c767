"""A keeper per device. (Signatures first; the body follows.)"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Keeper(Generic[T]):
    """Opens a device, runs it, closes it, backs off, again; says lost and back. Run `run()` as a task of its own."""

    why: str  # why it is lost now; "" while up

    def __init__(
        self,
        device: str,
        open_device: Callable[[], Awaitable[T]],
        use: Callable[[T], Awaitable[None]],
        report: Callable[[str, bool, str], None],
        *,
        close_device: Callable[[T], Awaitable[None]] | None = None,
        rng: random.Random | None = None,
    ) -> None: ...

    @property
    def up(self) -> bool:
        raise NotImplementedError

    async def run(self) -> None:
        """For ever, until cancelled; cancelling closes the device first."""
