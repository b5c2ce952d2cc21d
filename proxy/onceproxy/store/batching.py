"""Batches: what is asked for at the same time goes in one statement, and one durable commit serves many.

There is no timer. Whatever has gathered while batches were under way is the next one; who comes alone goes at
once, and waits for nobody. A batch that fails, or whose fate is not known, says nothing about its rows: each
is then asked for alone, by the statement and the rules that hold for one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass
from typing import Generic, TypeVar

from onceproxy.store.ending import end_within
from onceproxy.store.errors import DATABASE_ERRORS

log = logging.getLogger(__name__)

FLIGHTS = 2  # batches under way at a time, so that one is made ready while the other one waits for the disk
ROWS = 120  # of a batch: their request_ids fit into one piece of news, which may be 8,000 bytes long
SIZE = 1024 * 1024  # bytes of a batch, so that no row waits long for the others to be sent
TRY = 3.0  # seconds for one statement: less than a claim's patience, so that its rows have time to go alone

Asked = TypeVar("Asked")
Told = TypeVar("Told")

Batched = Callable[[str, int], None]
"""Is told of each batch: the name of its lane, and how many rows it has."""


class NotBatched(Exception):
    """Whether a batch did what was asked is not known: ask for it on its own."""


@dataclass(slots=True, eq=False)  # not frozen: there is one a request, and that doubles its price
class _Entry(Generic[Asked, Told]):
    key: bytes
    asked: Asked
    size: int
    told: asyncio.Future[Told]


class Lane(Generic[Asked, Told]):
    """Gathers what is asked for and runs it in batches, each of them sorted by key, no key in it twice.

    ``run`` does all of a batch and says what came of each; it may raise what asyncpg raises. ``flights``
    batches at most are under way at a time, of at most ``rows`` entries (1 or more) and about ``size`` bytes.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Asked]], Awaitable[Sequence[Told]]],
        *,
        batched: Batched | None = None,
        flights: int = FLIGHTS,
        rows: int = ROWS,
        size: int = SIZE,
    ) -> None:
        self._name = name
        self._run = run
        self._batched = batched
        self._flights = flights
        self._rows = rows
        self._size = size
        self._waiting: deque[_Entry[Asked, Told]] = deque()
        self._under_way: set[bytes] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = False

    async def ask(self, key: bytes, asked: Asked, size: int = 0, patience: float | None = None) -> Told:
        """Return what came of ``asked`` (about ``size`` bytes), in the next batch that has no other ``key``.

        Cancelling the call takes it out of a batch that is not under way yet, and disturbs none that is; nor
        does the end of ``patience``, in seconds.

        Raises:
            NotBatched: its batch failed. It may have been done or not.
            TimeoutError: the time is up. Likewise.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Told] = loop.create_future()
        self._waiting.append(_Entry(key, asked, size, told))
        self._start(loop)
        if patience is None:
            return await told
        # A fifth of the price of asyncio.timeout, which cancels tasks and not a future.
        timer = loop.call_later(patience, _give_up, told)
        try:
            return await told
        finally:
            timer.cancel()

    async def close(self, timeout: float) -> None:
        """Let batches under way end for ``timeout`` seconds, then leave them to their fate."""
        await end_within(self._tasks, timeout)

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin one more flight, if there may be one. It takes off after whoever else is about to ask."""
        if self._waiting and not self._starting and len(self._tasks) < self._flights:
            self._starting = True
            task = loop.create_task(self._fly(loop))
            self._tasks.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a batch of %s failed for a mistake of ours", self._name, exc_info=error)
        # Somebody may have asked since it found nobody waiting, and counted on it. Who waits for a key that
        # is under way is taken by whoever carries that one.
        if any(entry.key not in self._under_way for entry in self._waiting):
            self._start(task.get_loop())

    async def _fly(self, loop: asyncio.AbstractEventLoop) -> None:
        self._starting = False
        while batch := self._board():
            self._start(loop)
            await self._carry(batch)

    def _board(self) -> list[_Entry[Asked, Told]]:
        """Take the next batch from those that wait, in the order of their coming."""
        batch: list[_Entry[Asked, Told]] = []
        later: list[_Entry[Asked, Told]] = []
        size = 0
        while self._waiting and len(batch) < self._rows and len(later) < self._rows:
            entry = self._waiting.popleft()
            if entry.told.done():
                continue  # its asker has left
            # A second one of a key must find the first one done.
            if entry.key in self._under_way or (batch and size + entry.size > self._size):
                later.append(entry)
                continue
            self._under_way.add(entry.key)
            batch.append(entry)
            size += entry.size
        self._waiting.extendleft(reversed(later))
        # Whoever locks rows in one order never waits in a circle.
        batch.sort(key=lambda entry: entry.key)
        return batch

    async def _carry(self, batch: Sequence[_Entry[Asked, Told]]) -> None:
        if self._batched is not None:
            self._batched(self._name, len(batch))
        try:
            results = await self._run([entry.asked for entry in batch])
            for entry, result in zip(batch, results, strict=True):
                if not entry.told.done():
                    entry.told.set_result(result)
        except DATABASE_ERRORS as error:
            log.warning(
                "a batch of %d %s failed, and each is tried alone: %s",
                len(batch),
                self._name,
                type(error).__name__,  # and not its words, which may quote the row
            )
            self._let_go({entry.key for entry in batch})
        finally:
            for entry in batch:
                self._under_way.discard(entry.key)
                if not entry.told.done():
                    entry.told.set_exception(NotBatched())

    def _let_go(self, keys: Set[bytes]) -> None:
        """Have those go alone that wait for what failed: the next batch might fail for it as well."""
        for entry in self._waiting:
            if entry.key in keys and not entry.told.done():
                entry.told.set_exception(NotBatched())


def _give_up(told: asyncio.Future[Told]) -> None:
    if not told.done():
        told.set_exception(TimeoutError())
