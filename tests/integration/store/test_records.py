"""Lists page by page, counts and instances, and an operator's changes, over connections made on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from onceproxy.core.messages import BytesBody
from onceproxy.core.receipts import Claim, RequestId, Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Resolution, StoreUnavailable
from onceproxy.store import records
from onceproxy.store.operator import NotPossible
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.records import Filters, Page, Place, Records
from stores import OpenStore, a_response, an_action, completed, in_doubt


@pytest.fixture
async def book(database_url: str) -> AsyncIterator[Records]:
    opened = Records(lambda: nullcontext(database_url))
    yield opened
    await opened.close()


async def fill(store: PostgresStore, count: int, **fields: object) -> list[Claim]:
    claims = []
    for n in range(count):
        claim = await store.claim(an_action(f"{fields}-{n}", **fields))
        assert isinstance(claim, Claim)
        await store.settle(claim, completed())
        claims.append(claim)
    return claims


async def pages(book: Records, filters: Filters, limit: int) -> list[Page]:
    found = [await book.page(filters, None, limit)]
    while (after := found[-1].next) is not None:
        found.append(await book.page(filters, after, limit))
    return found


async def test_pages_hold_each_receipt_once_whatever_comes_meanwhile(
    book: Records, open_store: OpenStore, database: asyncpg.Connection
) -> None:
    store = await open_store()
    claims = await fill(store, 7)
    await database.execute("UPDATE receipts SET created_at = '2026-01-01T00:00:00Z'")  # all at one moment

    first = await book.page(Filters(), None, 3)
    await fill(store, 2, route="later")
    second = await book.page(Filters(), first.next, 3)
    third = await book.page(Filters(), second.next, 3)

    assert [len(page.receipts) for page in (first, second, third)] == [3, 3, 1]
    assert third.next is None
    seen = [row.request_id for page in (first, second, third) for row in page.receipts]
    assert sorted(map(str, seen)) == sorted(str(claim.request_id) for claim in claims)


async def test_filters(book: Records, open_store: OpenStore) -> None:
    store, gone = await open_store(), await open_store()
    await fill(store, 2, url="https://api.example.com:8443/v1/Charges", method="PUT", route="charges")
    await fill(store, 1, url="https://other.example/mail", scope=("user:ann", "team"), route="mail")
    lost = await gone.claim(an_action("lost", route="lost"))
    assert isinstance(lost, Claim)
    await gone.close()
    doubtful = await store.claim(an_action("doubt", route="doubt"))
    assert isinstance(doubtful, Claim)
    await store.settle(doubtful, in_doubt())

    async def found(filters: Filters) -> list[str]:
        return [row.route for row in (await book.page(filters)).receipts]

    assert await found(Filters()) == ["doubt", "lost", "mail", "charges", "charges"]
    assert await found(Filters(state=State.IN_DOUBT)) == ["doubt", "lost"]
    assert await found(Filters(route="lost")) == ["lost"]
    assert await found(Filters(host="API.example.com")) == ["doubt", "lost", "charges", "charges"]
    assert await found(Filters(host="api.example.com:8443", method="PUT")) == ["charges"] * 2
    assert await found(Filters(method="PATCH")) == []
    assert await found(Filters(text="V1/charges", route="charges")) == ["charges"] * 2
    assert await found(Filters(text="%")) == []
    assert await found(Filters(scope="team")) == ["mail"]
    now = datetime.now(UTC)
    assert len(await found(Filters(since=now - timedelta(hours=1), until=now + timedelta(hours=1)))) == 5
    assert await found(Filters(until=now - timedelta(hours=1))) == []
    assert await found(Filters(since=now + timedelta(hours=1))) == []


async def test_a_page_ends_early_and_goes_on(
    book: Records, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store()
    await fill(store, 1, route="wanted")
    await fill(store, 5)
    monkeypatch.setattr(records, "LOOKED_AT_ONCE", 2)

    [at_once] = await pages(book, Filters(route="wanted"), 10)
    assert (len(at_once.receipts), at_once.looked_at) == (1, 6)

    monkeypatch.setattr(records, "LONGEST_LOOK", 0.0)
    several = await pages(book, Filters(route="wanted"), 10)
    assert [len(page.receipts) for page in several] == [0, 0, 1, 0]
    assert [page.looked_at for page in several] == [2, 2, 2, 0]


async def test_counts_and_instances(
    book: Records, open_store: OpenStore, database: asyncpg.Connection
) -> None:
    store, gone = await open_store(), await open_store()
    await fill(store, 3, route="a")
    await fill(store, 1, route="b")
    await database.execute(
        "UPDATE receipts SET created_at = created_at - interval '2 hours' WHERE route = 'b'"
    )
    await gone.close()

    assert [(one.route, one.state, one.receipts) for one in await book.counts_by_route()] == [
        ("a", State.COMPLETED, 3),
        ("b", State.COMPLETED, 1),
    ]
    assert [one.route for one in await book.counts_by_route(3)] == ["a"]
    slices = await book.counts_by_time(timedelta(hours=1), timedelta(minutes=1))
    assert sum(one.receipts for one in slices) == 3
    assert all(one.slice.second == 0 for one in slices)
    alive, ended = await book.instances()
    assert (alive.alive, ended.alive) == (True, False)
    assert alive.lease_until > alive.started_at
    assert ended.ended_at is not None


async def test_changes(book: Records, open_store: OpenStore) -> None:
    store = await open_store()
    claim = await store.claim(an_action("doubt"))
    assert isinstance(claim, Claim)
    await store.settle(claim, in_doubt())
    name = claim.request_id
    happened = Resolution(True, Source.OPERATOR, "ann: seen", a_response(body=b"made"))

    with pytest.raises(NotPossible, match="in_doubt"):
        await book.purge(name, "ann: away with it")
    assert await book.resolve(name, happened) is True
    assert await book.resolve(name, happened) is False
    shown = await book.show(name)
    assert shown is not None
    receipt, events = shown
    assert (receipt.state, receipt.source) == (State.COMPLETED, Source.OPERATOR)
    assert [event.kind for event in events] == ["claimed", "in_doubt", "confirmed"]
    assert await book.body(receipt) == BytesBody(b"made")
    await book.purge(name, "ann: away with it")
    assert await book.show(name) is None


async def test_an_outage_is_told_and_passes(database_url: str) -> None:
    asked: list[str] = []

    @asynccontextmanager
    async def database() -> AsyncIterator[str]:
        asked.append("postgresql://me@127.0.0.1:1/nothing" if not asked else database_url)
        yield asked[-1]
        asked.append("closed")

    book = Records(database)
    with pytest.raises(StoreUnavailable):
        await book.page(Filters())
    await book.close()
    await asyncio.gather(*(book.show(RequestId(bytes(32))) for _ in range(8)))
    assert asked[1:] == ["closed", database_url]
    assert (await book.page(replace(Filters(), text="x"), Place(datetime.now(UTC), bytes(32)))).next is None
    await book.close()
    await book.close()
    assert asked.count("closed") == 2
