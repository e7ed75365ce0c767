"""What a driver may raise, and nothing else. `Misuse` is our bug; the others are the world's."""

from __future__ import annotations


class DriverError(Exception):
    """Base. `args[0]` is a sentence in field words: what was asked, of what, what came back."""


class LinkLost(DriverError):
    """The way to the device is gone: port unplugged, connection refused or broken, daemon dead."""


class NoAnswer(DriverError):
    """The link stands, the device stayed silent past its deadline."""


class BadFrame(DriverError):
    """An answer came that cannot be right: check sum, length, unit, function, echo."""


class Refused(DriverError):
    """The device answered 'no' (a Modbus exception). `code` is the exception code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Misuse(DriverError):
    """The caller broke the contract: unknown bollard, unit 0, a forbidden coil."""


class TokenExpired(DriverError):
    """A motion token was older than its age limit when its turn on the bus came. It was not sent."""
