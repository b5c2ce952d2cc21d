"""Claim, effect and completion in one transaction of the caller's: all of it, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from lenders import ALL, Lend, Lender, by_asyncpg, by_blocking_psycopg, by_psycopg
from onceproxy import (
    Guard,
    InProgress,
    KeyReused,
    NoTransaction,
    OutcomeUnknown,
    ResultNotKept,
    ResultNotSet,
    current_action,
)
from stores import on_server
from tills import Declined

NAME = "transfer"


@pytest.fixture(scope="module", autouse=True)
def _ledger(receipts_url: str) -> Iterator[None]:
    asyncio.run(on_server(receipts_url, "CREATE TABLE ledger (key text NOT NULL)"))
    yield
    asyncio.run(on_server(receipts_url, "DROP TABLE ledger"))


@pytest.fixture
async def watcher(receipts_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that sees what is committed."""
    connection = await asyncpg.connect(receipts_url)
    yield connection
    await connection.close()


async def effects(watcher: asyncpg.Connection, key: str) -> int:
    """How often the effect is committed."""
    return int(await watcher.fetchval("SELECT count(*) FROM ledger WHERE key = $1", key))


async def states(watcher: asyncpg.Connection, key: str) -> list[str]:
    """The states of the key's receipts."""
    rows = await watcher.fetch("SELECT state FROM receipts WHERE url LIKE '%/' || $1", key)
    return [row["state"] for row in rows]


async def transfer(guard: Guard, lender: Lender, key: str, **options: Any) -> Any:
    """Make one copy of a transfer in the lender's transaction, by the way that fits it."""
    error = options.pop("error", None)
    transaction = guard.transaction(lender.connection)

    async def move() -> dict[str, int]:
        await lender.do(f"INSERT INTO ledger VALUES ('{key}')")
        if error is not None:
            raise error
        return {"attempt": current_action().attempt}

    def move_blocking() -> dict[str, int]:
        try:
            move().send(None)
        except StopIteration as end:
            moved: dict[str, int] = end.value
            return moved
        raise AssertionError("it awaited something")

    if "Blocking" in type(lender).__name__:
        return transaction.execute_sync(NAME, key, move_blocking, **options)
    return await transaction.execute(NAME, key, move, **options)


@pytest.mark.parametrize("lend", ALL.values(), ids=ALL)
async def test_effect_and_receipt_are_one_commit(
    guard: Guard, receipts_url: str, watcher: asyncpg.Connection, key: str, lend: Lend
) -> None:
    async with lend(receipts_url) as lender:
        async with lender.begin():
            first = await transfer(guard, lender, key)
            assert (await effects(watcher, key), await states(watcher, key)) == (0, [])
        assert (await effects(watcher, key), await states(watcher, key)) == (1, ["completed"])
        async with lender.begin():
            second = await transfer(guard, lender, key)
        assert first == second == {"attempt": 1}
        assert await effects(watcher, key) == 1


@pytest.mark.parametrize("lend", ALL.values(), ids=ALL)
async def test_a_rollback_leaves_nothing(
    guard: Guard, receipts_url: str, watcher: asyncpg.Connection, key: str, lend: Lend
) -> None:
    async with lend(receipts_url) as lender:

        async def roll_back() -> None:
            async with lender.begin():
                await transfer(guard, lender, key)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await roll_back()
        assert (await effects(watcher, key), await states(watcher, key)) == (0, [])
        async with lender.begin():
            await transfer(guard, lender, key)
        assert (await effects(watcher, key), await states(watcher, key)) == (1, ["completed"])


@pytest.mark.parametrize("lend", ALL.values(), ids=ALL)
async def test_an_exception_takes_back_effect_and_claim_and_no_more(
    guard: Guard, receipts_url: str, watcher: asyncpg.Connection, key: str, lend: Lend
) -> None:
    other = f"{key}-other"
    async with lend(receipts_url) as lender:
        async with lender.begin():
            await lender.do(f"INSERT INTO ledger VALUES ('{other}')")
            with pytest.raises(ZeroDivisionError):
                await transfer(guard, lender, key, error=ZeroDivisionError())
        assert (await effects(watcher, key), await states(watcher, key)) == (0, [])
        assert await effects(watcher, other) == 1
        async with lender.begin():
            with pytest.raises(Declined):
                await transfer(guard, lender, key, error=Declined("no funds"), final_on=Declined)
        assert (await effects(watcher, key), await states(watcher, key)) == (0, ["completed"])
        async with lender.begin():
            with pytest.raises(Declined, match="no funds"):
                await transfer(guard, lender, key, final_on=Declined)
        assert await effects(watcher, key) == 0


@pytest.mark.parametrize("commits", [True, False], ids=["commit", "rollback"])
async def test_a_copy_at_the_same_time_waits_for_the_end(
    guard: Guard, receipts_url: str, watcher: asyncpg.Connection, key: str, commits: bool
) -> None:
    async with by_asyncpg(receipts_url) as first, by_psycopg(receipts_url) as second:
        transaction = first.connection.transaction()
        await transaction.start()
        one = await transfer(guard, first, key)

        async def copy() -> Any:
            async with second.begin():
                return await transfer(guard, second, key)

        copying = asyncio.create_task(copy())
        async with asyncio.timeout(30):
            while not await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
        assert not copying.done()
        await (transaction.commit() if commits else transaction.rollback())
        assert await copying == one
    assert (await effects(watcher, key), await states(watcher, key)) == (1, ["completed"])


async def test_many_copies_at_once_do_it_once(
    guard: Guard, receipts_url: str, watcher: asyncpg.Connection, key: str
) -> None:
    async def copy() -> Any:
        async with by_asyncpg(receipts_url) as lender, lender.begin():
            return await transfer(guard, lender, key)

    assert await asyncio.gather(*(copy() for _ in range(8))) == [{"attempt": 1}] * 8
    assert await effects(watcher, key) == 1


async def test_where_the_database_refuses_instead_the_caller_begins_anew(
    guard: Guard, receipts_url: str, watcher: asyncpg.Connection, key: str
) -> None:
    async with by_asyncpg(receipts_url) as first, by_asyncpg(receipts_url) as second:

        async def copy(lender: Lender) -> Any:
            async with lender.connection.transaction(isolation="serializable"):
                await lender.connection.fetchval("SELECT count(*) FROM ledger")  # sees what is there by now
                return await transfer(guard, lender, key)

        async def both() -> None:
            async with second.connection.transaction(isolation="serializable"):
                await second.connection.fetchval("SELECT count(*) FROM ledger")
                await copy(first)
                await transfer(guard, second, key)

        with pytest.raises(asyncpg.SerializationError):
            await both()
        assert await copy(second) == {"attempt": 1}
    assert (await effects(watcher, key), await states(watcher, key)) == (1, ["completed"])


async def test_a_block_is_rolled_back_unless_it_says_what_came_of_it(
    guard: Guard, receipts_url: str, watcher: asyncpg.Connection, key: str
) -> None:
    async with by_asyncpg(receipts_url) as lender:

        async def forget() -> None:
            async with guard.transaction(lender.connection).action(NAME, key) as action:
                assert action.fresh
                await lender.do(f"INSERT INTO ledger VALUES ('{key}')")

        async with lender.begin():
            with pytest.raises(ResultNotSet, match="rolled back"):
                await forget()
        assert (await effects(watcher, key), await states(watcher, key)) == (0, [])
        for _ in range(2):
            async with lender.begin(), guard.transaction(lender.connection).action(NAME, key) as action:
                if action.fresh:
                    await lender.do(f"INSERT INTO ledger VALUES ('{key}')")
                    action.result = "moved"
            assert action.result == "moved"
    assert await effects(watcher, key) == 1


def test_a_block_without_async(guard: Guard, receipts_url: str, key: str) -> None:
    async def both() -> list[bool]:
        fresh = []
        async with by_blocking_psycopg(receipts_url) as lender:
            for _ in range(2):
                with (
                    lender.connection.transaction(),
                    guard.transaction(lender.connection).action(NAME, key) as action,
                ):
                    fresh.append(action.fresh)
                    if action.fresh:
                        action.result = 1
        return fresh

    assert asyncio.run(both()) == [True, False]


@pytest.mark.parametrize("lend", ALL.values(), ids=ALL)
async def test_without_a_transaction_nothing_is_called(
    guard: Guard, receipts_url: str, watcher: asyncpg.Connection, key: str, lend: Lend
) -> None:
    async with lend(receipts_url) as lender:
        if lend in (ALL["asyncpg"], ALL["asyncpg pool"], ALL["psycopg autocommit"]):
            with pytest.raises(NoTransaction, match="begin one"):
                await transfer(guard, lender, key)
        else:
            # These begin one by themselves at the first statement; it is not committed here.
            await transfer(guard, lender, key)
            await lender.do("ROLLBACK") if lend is not ALL[
                "psycopg blocking"
            ] else lender.connection.rollback()
    assert (await effects(watcher, key), await states(watcher, key)) == (0, [])


async def test_another_database_is_found_out(
    guard: Guard, database_url: str, empty_database_url: str, key: str
) -> None:
    for url in (database_url, empty_database_url):
        async with by_asyncpg(url) as lender:
            with pytest.raises(NoTransaction, match="another database"):
                async with lender.begin():
                    await transfer(guard, lender, key)


async def test_what_is_no_connection_is_refused(guard: Guard, key: str) -> None:
    with pytest.raises(NoTransaction, match=r"builtins\.str"):
        await guard.transaction("postgresql://").execute(NAME, key, asyncio.Event().wait)


async def test_receipts_of_other_calls_are_respected(
    guard: Guard, receipts_url: str, watcher: asyncpg.Connection, key: str
) -> None:
    async with by_asyncpg(receipts_url) as lender:
        async with lender.begin():
            await transfer(guard, lender, key, payload=1)
        with pytest.raises(KeyReused):
            async with lender.begin():
                await transfer(guard, lender, key, payload=2)

        def fail() -> None:
            raise TimeoutError("late")

        doubtful = f"{key}-doubtful"
        with pytest.raises(TimeoutError):
            guard.execute_sync(NAME, doubtful, fail)
        with pytest.raises(OutcomeUnknown, match="TimeoutError: late"):
            async with lender.begin():
                await transfer(guard, lender, doubtful)

        async def within() -> None:
            with pytest.raises(InProgress):
                async with lender.begin():
                    await transfer(guard, lender, f"{key}-running")

        await guard.execute(NAME, f"{key}-running", within)
        replayed: Any = await guard.execute(NAME, key, asyncio.Event().wait, payload=1)
        assert replayed == {"attempt": 1}
    assert await effects(watcher, key) == 1


async def test_a_large_result_is_not_kept_and_one_from_elsewhere_is_loaded(
    guard: Guard, receipts_url: str, key: str
) -> None:
    large = "x" * 300_000
    elsewhere = f"{key}-elsewhere"
    guard.execute_sync(NAME, elsewhere, lambda: large)
    async with by_asyncpg(receipts_url) as lender:
        async with lender.begin(), guard.transaction(lender.connection).action(NAME, key) as action:
            assert action.fresh
            action.result = large
        with pytest.raises(ResultNotKept):
            async with lender.begin(), guard.transaction(lender.connection).action(NAME, key):
                pass
        async with lender.begin():
            assert await transfer(guard, lender, elsewhere) == large
