"""A deadline that is moved: one timer, the last deadline counts."""

from __future__ import annotations

import asyncio
from functools import partial

from onceproxy.upstream.deadline import Deadline

SOON = 0.02  # seconds


async def test_it_is_told_when_it_is_past() -> None:
    late = asyncio.Event()
    due = asyncio.get_running_loop().time() + SOON
    Deadline(late.set).set(due)
    async with asyncio.timeout(10):
        await late.wait()
    assert asyncio.get_running_loop().time() >= due


async def test_one_that_was_put_off_is_not_told_before() -> None:
    loop, late = asyncio.get_running_loop(), asyncio.Event()
    deadline = Deadline(late.set)
    deadline.set(loop.time() + SOON)
    deadline.set(due := loop.time() + 3 * SOON)
    async with asyncio.timeout(10):
        await late.wait()
    assert loop.time() >= due


async def test_one_that_comes_sooner_than_the_timer_is_told_in_time() -> None:
    late = asyncio.Event()
    deadline = Deadline(late.set)
    deadline.set(asyncio.get_running_loop().time() + 1000)
    deadline.set(asyncio.get_running_loop().time() + SOON)
    async with asyncio.timeout(10):
        await late.wait()


async def test_one_that_was_cleared_or_dropped_is_not_told() -> None:
    told: list[str] = []
    last = asyncio.Event()
    cleared, dropped = (Deadline(partial(told.append, name)) for name in ("cleared", "dropped"))
    due = asyncio.get_running_loop().time() + SOON
    cleared.set(due)
    cleared.clear()
    dropped.set(due)
    dropped.drop()
    Deadline(last.set).set(due + SOON)
    async with asyncio.timeout(10):
        await last.wait()
    assert not told
