"""Listening where a setting says, and words for where that can't be."""

from __future__ import annotations

import os
import socket
from typing import Protocol

from onceproxy.config.model import Address


class PortTaken(Exception):
    """A port can't be listened on."""


class Listens(Protocol):
    """What can listen on a port."""

    async def listen(self, host: str, port: int) -> int:
        """Listen; return the port (a free one is picked for 0). Raises ``OSError`` where it is taken."""


async def listen(listener: Listens, address: Address, setting: str) -> str:
    """Listen where a setting says; return the URL. Raises ``PortTaken``."""
    try:
        port = await listener.listen(address.host, address.port)
    except OSError as error:
        raise port_taken(setting, address, error) from error
    return url_of(address.host, port)


def port_taken(setting: str, address: Address, error: OSError) -> PortTaken:
    """Put into words why a port can't be listened on."""
    reason = error.strerror or str(error)
    if error.errno is not None and not isinstance(error, socket.gaierror):
        reason = os.strerror(error.errno)  # asyncio's own words name the address once more
    return PortTaken(
        f"{setting}: can't listen on {address} ({reason}); is another proxy running there? "
        "Port 0 picks a free one."
    )


def url_of(host: str, port: int) -> str:
    """Return the URL of a port of ours."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
