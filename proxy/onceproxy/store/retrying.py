"""Patience with the database: try again through a short outage, then say that the store is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from onceproxy.guard.ports import StoreUnavailable
from onceproxy.store.errors import DATABASE_ERRORS, is_outage

T = TypeVar("T")

FIRST_PAUSE = 0.05  # seconds; doubled after each try
LONGEST_PAUSE = 1.0  # seconds
SHORTEST_TRY = 1.0  # seconds: less would fail a healthy database on a slow day


def pauses(first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> Callable[[], float]:
    """Return a function that gives the next pause, in seconds, each time it is called."""
    pause = first / 2

    def following() -> float:
        nonlocal pause
        pause = min(pause * 2, longest)
        return pause

    return following


async def persist(work: Callable[[], Awaitable[T]], patience: float, *, bounded: bool = True) -> T:
    """Await ``work()`` until it succeeds, starting no new try after ``patience`` seconds.

    ``work`` must be safe to repeat after a try whose effect is unknown. A try that is under way when the time
    is up is stopped if ``bounded``, and else may take as long as it does.

    Raises:
        StoreUnavailable: the outage lasted; the last error is its cause.
    """
    clock = asyncio.get_running_loop().time
    give_up = clock() + patience
    pause: Callable[[], float] | None = None
    while True:
        try:
            if not bounded:
                return await work()
            async with asyncio.timeout(max(SHORTEST_TRY, give_up - clock())):
                return await work()
        except DATABASE_ERRORS as error:
            if not is_outage(error):
                raise
            pause = pause or pauses()
            seconds = pause()
            if clock() + seconds > give_up:
                raise StoreUnavailable(f"the database does not answer: {type(error).__name__}") from error
        await asyncio.sleep(seconds)
