"""Clients that do not take the last bytes of a closing connection, by a clock of the test's own."""

from __future__ import annotations

import asyncio
from typing import Any

from onceproxy.core.limits import Limit
from onceproxy.ingress.client_server import ClientServer
from onceproxy.ingress.limits import ClientLimits


class Closing:
    """A transport that is closing and still has something to write."""

    aborted = False

    def is_closing(self) -> bool:
        return True

    def abort(self) -> None:
        self.aborted = True


class Clock:
    """An event loop's clock, as the test says."""

    now = 100.0

    def time(self) -> float:
        return self.now


async def test_last_bytes_are_waited_for_and_not_for_ever() -> None:
    hits: list[Limit] = []
    server = ClientServer(None, ClientLimits(drain_timeout=30.0), hits.append)
    connection: Any = server()
    wire, clock = Closing(), Clock()
    connection._wire, connection._loop = wire, clock

    connection.look()
    clock.now += 29.0
    connection.look()
    assert (wire.aborted, hits) == (False, [])
    clock.now += 1.0
    connection.look()
    assert (wire.aborted, hits) == (True, [Limit.DRAIN_TIMEOUT])
    server._timer.cancel()  # type: ignore[union-attr]
    await asyncio.sleep(0)
