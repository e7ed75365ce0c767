"""Why a far side cannot be reached, in words that an installer can act on. `agent.web.reasons` has every sentence in
the other languages."""

from __future__ import annotations

import os
import socket
import ssl


def why_not(error: BaseException, host: str, port: int) -> str:
    """What stopped a connection from coming about."""
    where = f"{host}:{port}"
    match error:
        case socket.gaierror():
            return f"the name {host} cannot be resolved: {error.strerror}"
        case ssl.SSLCertVerificationError():
            return f"the certificate of {where} is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"no TLS with {where}: {error.reason or error}"
        case ConnectionRefusedError():
            return f"nobody listens at {where}"
        case TimeoutError():
            return f"no answer from {where}"
        case OSError():
            return f"{where} cannot be reached: {os_word(error)}"
        case _:
            return f"{where}: {error}"


def os_word(error: BaseException) -> str:
    """The operating system's own word; asyncio puts one of its own, with the address, in its place."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(error)
