"""A thread of one's own for calls that may block for ever, with a deadline on the event loop's side.

Unlike the loop's default executor it is a daemon thread: a call that never returns cannot keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs calls one after the other. After a missed deadline it is stuck: give it up and make a new one."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], asyncio.AbstractEventLoop, asyncio.Future[Any]] | None]
        self._jobs = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    async def call(self, job: Callable[[], T], within_s: float) -> T:
        """The job's result or exception; TimeoutError when it takes longer. The job itself goes on regardless."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        deadline = loop.call_later(within_s, _late, result)
        self._jobs.put((job, loop, result))
        try:
            return await result
        finally:
            deadline.cancel()

    def stop(self) -> None:
        """End after what is queued. Does not wait."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, loop, result = job
            value: Any = None
            error: Exception | None = None
            try:
                value = call()
            except Exception as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                loop.call_soon_threadsafe(_deliver, result, value, error)


def _late(result: asyncio.Future[Any]) -> None:
    if not result.done():
        result.set_exception(TimeoutError())


def _deliver(result: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if result.done():
        return
    if error is None:
        result.set_result(value)
    else:
        result.set_exception(error)
