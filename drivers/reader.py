"""A serial card reader. (Signatures first; the body follows.)"""

from __future__ import annotations

from drivers.ports import BadCard, CardFrame
from hardware import profiles, site


class FrameParser:
    def __init__(self, card_format: str) -> None: ...

    def feed(self, data: bytes, at: float) -> list[CardFrame | BadCard]:
        raise NotImplementedError


class UartReader:
    """`ports.ReaderPort` on a serial port."""

    @classmethod
    async def open(
        cls, reader: site.Reader, *, folder: str = ".", profile: profiles.ReaderProfile | None = None
    ) -> UartReader:
        raise NotImplementedError

    async def next_frame(self) -> CardFrame | BadCard:
        raise NotImplementedError

    async def close(self) -> None: ...
