"""Callers that leave, and guards that close, while a call is on its way."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from onceproxy import Guard, GuardClosed, OutcomeUnknown, StoreUnavailable, current_action
from tills import Till


async def test_who_leaves_before_the_turn_is_there_is_not_called(
    guard: Guard, receipts_url: str, till: Till, key: str
) -> None:
    connection = await asyncpg.connect(receipts_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE receipts IN ACCESS EXCLUSIVE MODE")
            call = asyncio.create_task(guard.execute("leaving", key, lambda: till.act_later(key)))
            async with asyncio.timeout(30):
                while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
    finally:
        await connection.close()
    assert till.calls == []
    assert await guard.execute("leaving", key, lambda: till.act_later(key)) == "done"
    assert len(till.calls) == 1


def test_a_guard_that_closes_puts_what_does_not_end_in_doubt(
    guard: Guard, receipts_url: str, data_dir: Path, key: str
) -> None:
    closing = Guard(receipts_url, data_dir=data_dir, grace=0)
    began, go_on = threading.Event(), threading.Event()

    def slowly() -> str:
        began.set()
        assert go_on.wait(60)
        return "done"

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(closing.execute_sync, "closing", key, slowly)
        assert began.wait(60)
        closing.close()
        go_on.set()
        with pytest.raises(GuardClosed, match="closed while it ran") as caught:
            call.result(60)
    assert caught.value.executed
    with pytest.raises(OutcomeUnknown, match="the guard was closed"):
        guard.execute_sync("closing", key, slowly)


def test_a_closed_guard_calls_nothing_until_it_is_opened(
    receipts_url: str, data_dir: Path, till: Till, key: str
) -> None:
    guard = Guard(receipts_url, data_dir=data_dir)
    guard.close()  # it never was open
    with pytest.raises(GuardClosed):
        guard.execute_sync("closed", key, lambda: till.act(key))
    assert till.calls == []
    with guard:
        assert guard.execute_sync("closed", key, lambda: till.act(key)) == "done"
    with pytest.raises(GuardClosed):
        guard.execute_sync("closed", key, lambda: till.act(key))


async def test_a_guard_serves_one_loop_after_another(
    receipts_url: str, data_dir: Path, till: Till, key: str
) -> None:
    async with Guard(receipts_url, data_dir=data_dir) as guard:

        async def call() -> int:
            await guard.execute("loops", key, lambda: till.act_later(key))
            return await guard.execute("attempt", f"{key}-{len(till.calls)}", attempt)

        async def attempt() -> int:
            return current_action().attempt

        assert await call() == await asyncio.to_thread(asyncio.run, call()) == 1
    assert len(till.calls) == 1


async def test_a_database_that_is_not_there_is_told(tmp_path: Path, key: str) -> None:
    config = tmp_path / "impatient.yaml"
    config.write_text("version: 1\nlimits: {database_timeout: 1ms}\n")
    guard = Guard("postgresql://127.0.0.1:1/nothing", data_dir=tmp_path, config=config)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="can't be used"):
            await guard.execute("nowhere", key, asyncio.Event().wait)
    await guard.aclose()
