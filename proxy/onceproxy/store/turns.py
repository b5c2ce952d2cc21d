"""Claims that go alone, one at a time for a receipt: only one of them has to wait for who holds it.

Who holds it may be another proxy amid its commit, a caller's transaction that a claim is part of, or a
person's. Each that waits in the database keeps a connection from the others, so few do at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from asyncpg.exceptions import LockNotAvailableError

FEW = 2  # receipts that are known to be held, and are asked for at a time all the same
KNOWN = 10_000  # of them are remembered


@dataclass(slots=True, eq=False)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Turns:
    """Who goes alone, and when."""

    def __init__(self) -> None:
        self._turns: dict[bytes, _Turn] = {}
        self._held: dict[bytes, None] = {}  # oldest first
        self._few = asyncio.Semaphore(FEW)

    def goes_alone(self, key: bytes) -> bool:
        """Say whether a batch might have to wait for ``key``: it is at its turn, or was held last time."""
        return key in self._turns or key in self._held

    def is_held(self, key: bytes) -> bool:
        """Say whether somebody else held ``key`` when it was asked for last."""
        return key in self._held

    @asynccontextmanager
    async def of(self, key: bytes) -> AsyncIterator[None]:
        """Wait until nobody else has the turn of ``key``, and have it for as long as the context lasts."""
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1
        try:
            async with turn.lock, self._few if key in self._held else nullcontext():
                try:
                    yield
                except LockNotAvailableError:
                    self._remember(key)
                    raise
                self._held.pop(key, None)
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[key]

    def _remember(self, key: bytes) -> None:
        self._held[key] = None
        if len(self._held) > KNOWN:
            del self._held[next(iter(self._held))]
