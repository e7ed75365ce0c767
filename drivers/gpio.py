"""The board's pins through gpiozero. (Signatures first; the body follows.)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from drivers.ports import EdgeListener
from hardware import site


class GpioBank:
    """`ports.GpioPort`. Once it has raised LinkLost it stays lost: close it and open a new one."""

    @classmethod
    async def open(cls, board: site.Board, inputs: Iterable[int], outputs: Mapping[int, bool]) -> GpioBank:
        """`outputs`: pin → level to start from, unless the pin is found already driven, which is kept as found."""
        raise NotImplementedError

    async def read_inputs(self) -> Mapping[int, bool]:
        raise NotImplementedError

    async def write(self, gpio: int, high: bool) -> None: ...

    async def read_outputs(self) -> Mapping[int, bool]:
        raise NotImplementedError

    def listen(self, listener: EdgeListener) -> None: ...

    async def close(self) -> None: ...
