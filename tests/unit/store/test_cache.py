"""Receipts in memory: the bounds, the times, and what makes one be forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from onceproxy.core.messages import BodyApart, BytesBody, Response
from onceproxy.core.receipts import Likeness, Receipt
from onceproxy.core.rules import FreshKey
from onceproxy.core.states import State
from onceproxy.store.cache import FRAME, ReceiptCache
from stores import a_response, an_action

_ACTION = an_action()
LIMIT = 8 * (
    FRAME + len(_ACTION.url) + len(_ACTION.route) + 200
)  # so that a receipt of 200 bytes is the largest that is kept


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_receipt(name: str = "pay", body: bytes = b"{}", **changes: object) -> Receipt:
    action = an_action(name)
    receipt = Receipt(
        action.request_id,
        State.COMPLETED,
        1,
        action.kind,
        action.fingerprint,
        action.credential,
        action.route,
        action.method,
        action.url,
        age=5.0,
        response=Response(200, b"OK", (), BytesBody(body)),
        body_size=len(body),
        first_age=6.0,
        expires_in=60.0,
    )
    return replace(receipt, **changes)  # type: ignore[arg-type]  # the names are those of the class


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> ReceiptCache:
    """A cache that hears of all changes."""
    cache = ReceiptCache(LIMIT, clock)
    cache.hear()
    return cache


async def keep(cache: ReceiptCache, receipt: Receipt) -> None:
    async def looked() -> Receipt:
        return receipt

    assert await cache.filled(receipt.request_id.digest, looked()) is receipt


async def test_a_completed_receipt_is_found_again_and_has_aged(cache: ReceiptCache, clock: Clock) -> None:
    receipt = a_receipt()
    await keep(cache, receipt)
    clock.now += 10

    found = cache.find(receipt.request_id.digest)

    assert found == replace(receipt, age=15.0, first_age=16.0, expires_in=50.0)


async def test_each_one_found_is_told(clock: Clock) -> None:
    found: list[bool] = []
    cache = ReceiptCache(LIMIT, clock, lambda: found.append(True))
    cache.hear()
    receipt = a_receipt()
    assert cache.find(receipt.request_id.digest) is None
    await keep(cache, receipt)

    for _ in range(2):
        cache.find(receipt.request_id.digest)

    assert len(found) == 2


async def test_it_is_forgotten_when_its_time_is_up(cache: ReceiptCache, clock: Clock) -> None:
    await keep(cache, a_receipt())
    clock.now += 60

    assert cache.find(a_receipt().request_id.digest) is None
    assert cache.size == 0


async def test_its_time_counts_from_before_the_look(cache: ReceiptCache, clock: Clock) -> None:
    async def slow() -> Receipt:
        clock.now += 50  # the database answered at once, and the answer took its time
        return a_receipt()

    await cache.filled(a_receipt().request_id.digest, slow())
    clock.now += 10

    assert cache.find(a_receipt().request_id.digest) is None


@pytest.mark.parametrize(
    "receipt",
    [
        a_receipt(state=State.IN_DOUBT),
        a_receipt(state=State.CLAIMED, response=None),
        a_receipt(state=State.TOMBSTONE, response=None),
        a_receipt(body_kept=False),
        a_receipt(response=replace(a_response(), body=BodyApart(1 << 20, bytes(32)))),
        a_receipt(body=bytes(201)),
    ],
    ids=["in doubt", "claimed", "tombstone", "body not kept", "body in parts", "too large"],
)
async def test_only_what_can_be_replayed_from_memory_is_kept(cache: ReceiptCache, receipt: Receipt) -> None:
    await keep(cache, receipt)

    assert cache.find(receipt.request_id.digest) is None


async def test_another_actions_receipt_is_not_kept_as_ones_own(cache: ReceiptCache) -> None:
    async def looked() -> Receipt:
        return a_receipt("another")

    mine = an_action("mine").request_id.digest
    await cache.filled(mine, looked())

    assert cache.find(mine) is None


async def test_those_used_last_stay_within_the_limit(cache: ReceiptCache) -> None:
    names = [str(number) for number in range(10)]
    for name in names:
        await keep(cache, a_receipt(name, bytes(200)))
        cache.find(an_action("0").request_id.digest)  # used all the time

    kept = [name for name in names if cache.find(an_action(name).request_id.digest) is not None]

    assert kept == ["0", "3", "4", "5", "6", "7", "8", "9"]
    assert cache.size <= LIMIT


async def test_a_long_url_counts_as_well(cache: ReceiptCache) -> None:
    await keep(cache, a_receipt())
    short = cache.size
    await keep(cache, a_receipt(url=_ACTION.url + "x" * 150))

    assert cache.size - short == 150


async def test_kept_twice_counts_once(cache: ReceiptCache) -> None:
    await keep(cache, a_receipt())
    once = cache.size
    await keep(cache, a_receipt())

    assert cache.size == once


async def test_news_of_it_drops_it(cache: ReceiptCache) -> None:
    await keep(cache, a_receipt())
    cache.drop(a_receipt().request_id.digest)

    assert cache.find(a_receipt().request_id.digest) is None
    assert cache.size == 0


@pytest.mark.parametrize("happens", ["drop", "deafen"])
async def test_what_changed_during_the_look_is_not_kept(cache: ReceiptCache, happens: str) -> None:
    digest = a_receipt().request_id.digest
    began, over = asyncio.Event(), asyncio.Event()

    async def looked() -> Receipt:
        began.set()
        await over.wait()
        return a_receipt()

    looking = asyncio.ensure_future(cache.filled(digest, looked()))
    await began.wait()
    if happens == "drop":
        cache.drop(digest)
    else:
        cache.deafen()
        cache.hear()
    over.set()
    await looking

    assert cache.find(digest) is None
    await keep(cache, a_receipt())
    assert cache.find(digest) is not None, "later looks are fresh"


async def test_nothing_is_kept_while_nobody_listens(cache: ReceiptCache) -> None:
    await keep(cache, a_receipt())
    cache.deafen()
    assert cache.find(a_receipt().request_id.digest) is None
    assert cache.size == 0

    await keep(cache, a_receipt())
    assert cache.find(a_receipt().request_id.digest) is None


async def test_a_look_that_fails_leaves_nothing_behind(cache: ReceiptCache) -> None:
    async def fails() -> Receipt:
        raise OSError

    digest = a_receipt().request_id.digest
    with pytest.raises(OSError):
        await cache.filled(digest, fails())
    await keep(cache, a_receipt())

    assert cache.find(digest) is not None


@pytest.mark.parametrize(
    ("treatment", "known"), [(FreshKey.ALLOW, True), (FreshKey.WARN, False), (FreshKey.HOLD, False)]
)
async def test_where_actions_like_it_matter_the_database_decides(
    cache: ReceiptCache, treatment: FreshKey, known: bool
) -> None:
    await keep(cache, a_receipt())
    action = an_action(likeness=Likeness(bytes(32), treatment, 60.0))

    assert (cache.found_by(action) is not None) is known


async def test_no_limit_no_receipts(clock: Clock) -> None:
    cache = ReceiptCache(0, clock)
    cache.hear()
    await keep(cache, a_receipt())

    assert cache.find(a_receipt().request_id.digest) is None
