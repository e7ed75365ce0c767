"""Why a far side cannot be reached, in words that an installer can act on."""

from __future__ import annotations

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
            return f"{where} cannot be reached: {error.strerror or error}"
        case _:
            return f"{where}: {error}"
