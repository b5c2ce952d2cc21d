"""Loans of connections: the last one that came back is lent next, and the pool has its say where it must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from onceproxy.store import lending
from onceproxy.store.lending import Lender, Lent

TRY = 10.0  # seconds


@pytest.fixture
async def lender(database_url: str) -> AsyncIterator[Lender]:
    """Lends at most two."""
    lender = Lender(await asyncpg.create_pool(database_url, min_size=0, max_size=2))
    yield lender
    lender.terminate()


def pid(lent: Lent) -> int:
    return int(lent.connection.get_server_pid())


async def test_the_last_one_back_is_lent_next(lender: Lender) -> None:
    first, second = await lender.take(TRY), await lender.take(TRY)
    pids = pid(first), pid(second)
    await lender.give_back(first)
    await lender.give_back(second)

    again = [await lender.take(TRY), await lender.take(TRY)]

    assert again == [second, first]
    assert (pid(first), pid(second)) == pids
    for lent in again:
        await lender.give_back(lent)


async def test_who_waits_for_the_pool_gets_what_comes_back(lender: Lender) -> None:
    lent = [await lender.take(TRY), await lender.take(TRY)]
    waiting = asyncio.create_task(lender.take(TRY))
    await asyncio.sleep(0)
    back = pid(lent[0])

    await lender.give_back(lent[0])

    assert pid(await waiting) == back
    await lender.give_back(waiting.result())
    await lender.give_back(lent[1])


async def test_one_that_was_closed_is_not_lent_again(lender: Lender, database: asyncpg.Connection) -> None:
    idle, cut = await lender.take(TRY), await lender.take(TRY)
    pids = {pid(idle), pid(cut)}
    gone = asyncio.Event()
    idle.connection.add_termination_listener(lambda _: gone.set())
    await lender.give_back(idle)
    cut.connection.terminate()
    await lender.give_back(cut)
    await database.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", list(pids))
    async with asyncio.timeout(TRY):
        await gone.wait()

    new = await lender.take(TRY), await lender.take(TRY)

    assert pids.isdisjoint(map(pid, new))
    for lent in new:
        await lender.give_back(lent)


async def test_none_is_lent_again_after_they_expired(lender: Lender) -> None:
    idle, lent = await lender.take(TRY), await lender.take(TRY)
    pids = {pid(idle), pid(lent)}
    await lender.give_back(idle)

    await lender.expire()
    await lender.give_back(lent)

    new = await lender.take(TRY), await lender.take(TRY)
    assert pids.isdisjoint(map(pid, new))
    for one in new:
        await lender.give_back(one)


async def test_one_that_nobody_used_for_long_is_left_to_the_pool(
    lender: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    unused, used = await lender.take(TRY), await lender.take(TRY)
    await lender.give_back(unused)
    monkeypatch.setattr(lending, "KEPT", -1.0)  # which is over at once

    await lender.give_back(used)

    assert lender._pool.get_idle_size() == 1
    assert unused not in lender._kept


async def test_the_end_of_a_loan_that_the_pool_was_closed_under(lender: Lender) -> None:
    lent = await lender.take(TRY)

    lender.terminate()
    await lender.give_back(lent)

    assert lent.is_closed
