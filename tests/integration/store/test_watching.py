"""News: whoever waits for a receipt hears of it, from any process, also after the line was broken."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import asyncpg
import pytest

from onceproxy.core.receipts import Claim
from onceproxy.guard.ports import Settlement
from onceproxy.store import watching
from onceproxy.store.postgres import PostgresStore
from stores import OpenStore, an_action, completed, in_doubt, released

SOON = 10.0  # seconds; far more than it takes, far less than for ever
LONG = 60.0


@pytest.fixture(autouse=True)
def only_news_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No store looks for itself because it is young."""
    monkeypatch.setattr(watching, "UNHEARD", 0.0)


async def claim(store: PostgresStore, name: str = "pay") -> Claim:
    claimed = await store.claim(an_action(name))
    assert isinstance(claimed, Claim)
    return claimed


@pytest.mark.parametrize("settlement", [completed(), released(), in_doubt()])
async def test_a_settlement_wakes_the_watchers_of_both_stores(
    open_store: OpenStore, settlement: Settlement
) -> None:
    here, there = await open_store(), await open_store()
    held = await claim(here)
    with here.watch(held.request_id) as near, there.watch(held.request_id) as far:
        await asyncio.gather(near.news(0.3), far.news(0.3))  # that of the claim itself
        waiting = asyncio.gather(near.news(LONG), far.news(LONG))
        await asyncio.sleep(0)
        assert not waiting.done()

        await here.settle(held, settlement)

        async with asyncio.timeout(SOON):
            await waiting


async def test_the_end_of_an_instance_is_news_of_all_that_it_may_have_claimed(open_store: OpenStore) -> None:
    leaving, staying = await open_store(), await open_store()
    with staying.watch(an_action("theirs").request_id) as watch:
        await watch.news(0.3)
        waiting = asyncio.create_task(watch.news(LONG))

        await leaving.close()

        async with asyncio.timeout(SOON):
            await waiting


async def test_what_is_settled_together_is_news_of_each(open_store: OpenStore) -> None:
    here, there = await open_store(), await open_store()
    held = [await claim(here, name) for name in ("a", "b", "c")]
    with ExitStack() as watches:
        far = [watches.enter_context(there.watch(one.request_id)) for one in held]
        await asyncio.gather(*(watch.news(0.3) for watch in far))
        waiting = asyncio.gather(*(watch.news(LONG) for watch in far))

        await asyncio.gather(*(here.settle(one, completed()) for one in held))

        async with asyncio.timeout(SOON):
            await waiting


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
async def test_a_settlement_is_no_news_while_there_is_no_other_instance(
    open_store: OpenStore, database: asyncpg.Connection, names: list[str]
) -> None:
    here = await open_store()
    heard: asyncio.Queue[str] = asyncio.Queue()
    await database.add_listener(watching.CHANNEL, lambda *news: heard.put_nowait(news[3]))

    async def settle_all() -> None:
        held = [await claim(here, name + str(len(names))) for name in names]
        await asyncio.gather(*(here.settle(one, completed()) for one in held))

    await settle_all()
    await database.execute(f"NOTIFY {watching.CHANNEL}, 'after it'")
    async with asyncio.timeout(SOON):
        assert await heard.get() == "after it"

    await open_store()
    names = [name * 2 for name in names]
    await settle_all()
    async with asyncio.timeout(SOON):
        assert len(await heard.get()) == 64 * len(names)


async def test_who_has_just_become_an_instance_looks_for_itself(
    open_store: OpenStore, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store()
    with store.watch(an_action().request_id) as watch:
        waiting = asyncio.create_task(watch.news(LONG))
        await asyncio.sleep(0)
        monkeypatch.setattr(watching, "UNHEARD", LONG)
        monkeypatch.setattr(watching, "LOOK_EVERY", 0.01)
        await database.execute("UPDATE instances SET lease_until = clock_timestamp()")

        await store._lease.renew()

        async with asyncio.timeout(SOON):
            await waiting  # what was said to nobody while it was none
            await watch.news(LONG)


async def test_news_between_two_calls_are_not_lost(store: PostgresStore) -> None:
    held = await claim(store)
    with store.watch(held.request_id) as watch:
        await watch.news(0.2)
        await store.settle(held, completed())

        async with asyncio.timeout(SOON):
            await watch.news(LONG)


async def test_no_news_is_no_error(store: PostgresStore) -> None:
    with store.watch(an_action().request_id) as watch:
        await watch.news(0.01)
        await watch.news(0)


async def test_news_of_others_wake_nobody(store: PostgresStore) -> None:
    with store.watch(an_action("mine").request_id) as watch:
        waiting = asyncio.create_task(watch.news(LONG))
        await store.settle(await claim(store, "other"), completed())
        await claim(store, "third")

        assert not waiting.done()
        waiting.cancel()


async def test_after_the_line_broke_all_are_woken_and_hear_again(
    open_store: OpenStore, database: asyncpg.Connection
) -> None:
    here, there = await open_store(), await open_store()
    held = await claim(here)
    with there.watch(held.request_id) as watch:
        await watch.news(0.3)
        killed = await database.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'"
        )
        assert killed == 2

        async with asyncio.timeout(SOON):
            await watch.news(LONG)  # for what may have been missed
        await there.listening()
        await watch.news(0.3)
        await here.settle(held, completed())
        async with asyncio.timeout(SOON):
            await watch.news(LONG)


async def test_a_loss_is_news(open_store: OpenStore) -> None:
    gone, here, there = await open_store(), await open_store(), await open_store()
    held = await claim(gone)
    with there.watch(held.request_id) as watch:
        await watch.news(0.3)
        await gone.close()
        await here.read(held.request_id)

        async with asyncio.timeout(SOON):
            await watch.news(LONG)


async def test_watches_leave_nothing_behind_and_hold_no_connection(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'onceproxy'"
    before = await database.fetchval(count)
    watches = [store.watch(an_action(str(i % 7)).request_id) for i in range(100)]
    for watch in watches:
        watch.__enter__()

    assert await database.fetchval(count) == before

    for watch in watches:
        watch.__exit__(None, None, None)
    assert not store._watching._watchers
