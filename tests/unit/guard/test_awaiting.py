"""Waiting for the first of some futures, and leaving them as they are."""

from __future__ import annotations

import asyncio

import pytest

from onceproxy.guard.awaiting import first_of


async def test_it_returns_with_the_first_and_leaves_the_others() -> None:
    loop = asyncio.get_running_loop()
    first, other = loop.create_future(), loop.create_future()
    loop.call_soon(first.set_result, None)
    await first_of(other, first)
    assert first.done()
    assert not other.done()


async def test_it_returns_at_once_where_one_is_done() -> None:
    loop = asyncio.get_running_loop()
    failed, other = loop.create_future(), loop.create_future()
    failed.set_exception(ValueError())
    await first_of(other, failed)
    assert isinstance(failed.exception(), ValueError)


async def test_it_returns_when_the_time_is_up() -> None:
    open_ = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(10):
        await first_of(open_, timeout=0.01)
    assert not open_.done()


async def test_cancelling_the_wait_cancels_none_of_them() -> None:
    open_ = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(first_of(open_, timeout=60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not open_.cancelled()
    open_.set_result(None)
