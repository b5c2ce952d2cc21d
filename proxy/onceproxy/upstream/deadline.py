"""A deadline that is moved for each request, at less than the cost of a timer for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls ``late`` once the clock of the event loop is past what was last set.

    Nearly all requests end long before theirs, so one timer serves many: it looks again at the deadline of
    the time when it fires.
    """

    def __init__(self, late: Callable[[], None]) -> None:
        self._late = late
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, due: float) -> None:
        """Have ``late`` called at ``due``."""
        self._due = due
        if self._timer is None or self._timer.when() > due:
            self._start(due)

    def clear(self) -> None:
        """Wait for nothing."""
        self._due = None

    def drop(self) -> None:
        """Wait for nothing any more."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if asyncio.get_running_loop().time() < self._due:
            self._start(self._due)
        else:
            self._due = None
            self._late()


class News:
    """Wakes the one who waits for it; ``late`` is called when that takes longer than it may."""

    def __init__(self, late: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self._deadline = Deadline(late)
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    async def wait(self, due: float) -> None:
        """Return at the next news; until ``due``, on the event loop's clock, nobody is called late."""
        self._waiter = self._loop.create_future()
        self._deadline.set(due)
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._deadline.clear()

    def tell(self) -> None:
        """Wake the one who waits, if anyone does."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def drop(self) -> None:
        """Call nobody late any more."""
        self._deadline.drop()
