"""A response's body while it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from onceproxy.guard.capture import Capture
from onceproxy.guard.room import ENDLESS, Room


class GrowingBody(Capture):
    """A capture that tells whoever follows it that it has grown, and that can hold its writer up."""

    def __init__(self, room: Room = ENDLESS) -> None:
        super().__init__(room)
        self._grew: Callable[[], None] | None = None
        self._gate: asyncio.Event | None = None  # made when somebody has to wait: hardly ever

    def follow(self, grew: Callable[[], None] | None) -> None:
        """Call ``grew`` after each write; None: no more."""
        self._grew = grew

    def write(self, data: bytes) -> None:
        """Append ``data`` and tell the follower. Raises ``OSError`` where the disk can't take it."""
        super().write(data)
        if self._grew is not None:
            self._grew()

    @property
    def held(self) -> bool:
        """Whether the writer is to wait before it writes more."""
        return self._gate is not None and not self._gate.is_set()

    def hold(self) -> None:
        """Hold the writer up."""
        if self._gate is None:
            self._gate = asyncio.Event()
        self._gate.clear()

    def go_on(self) -> None:
        """Let the writer go on."""
        if self._gate is not None:
            self._gate.set()

    async def room(self) -> None:
        """Wait until more may be written."""
        if self._gate is not None:
            await self._gate.wait()
