"""Places for attempts: bounded, queued in order of arrival, shared among users."""

from __future__ import annotations

import asyncio

import pytest

from onceproxy.core.limits import Limit, OverLimit
from onceproxy.guard.places import Place, Places

LONG = 600.0


def places(most: int = 1, queue: int = 10, per_user: int = 10, patience: float = LONG) -> Places:
    return Places(most, queue, per_user, patience)


async def queued(some: Places, *users: str | None) -> list[asyncio.Task[Place]]:
    """Let requests of these users come one after the other; return when they all wait."""
    tasks = []
    for user in users:
        tasks.append(asyncio.ensure_future(some.take(user)))
        await asyncio.sleep(0)
    assert some.queued == len(users)
    return tasks


async def granted(*tasks: asyncio.Task[Place]) -> list[bool]:
    await asyncio.sleep(0)
    return [task.done() for task in tasks]


async def refused(some: Places, user: str | None = None) -> Limit:
    with pytest.raises(OverLimit) as caught:
        await some.take(user)
    return caught.value.limit


async def test_who_waits_gets_a_place_in_order_of_arrival() -> None:
    some = places(most=2)
    first, second = await some.take(None), await some.take(None)
    one, two, three = await queued(some, None, None, None)

    second.give_back()
    assert await granted(one, two, three) == [True, False, False]
    first.give_back()
    one.result().give_back()
    assert await granted(one, two, three) == [True, True, True]
    assert (some.taken, some.queued) == (2, 0)


async def test_beyond_the_queue_nobody_waits() -> None:
    some = places(queue=1)
    place = await some.take(None)
    (one,) = await queued(some, None)

    assert await refused(some) is Limit.QUEUE
    place.give_back()
    (await one).give_back()
    assert (some.taken, some.queued) == (0, 0)


async def test_without_a_queue_it_is_the_executions_that_are_too_many() -> None:
    some = places(queue=0)
    await some.take(None)
    assert await refused(some) is Limit.EXECUTIONS


async def test_a_wait_ends() -> None:
    some = places(patience=0.0)
    place = await some.take(None)
    assert await refused(some) is Limit.QUEUE_TIMEOUT
    place.give_back()
    assert (some.taken, some.queued) == (0, 0)


async def test_a_user_has_a_share_of_the_places_and_of_the_queue() -> None:
    some = places(most=3, per_user=1)
    place = await some.take("greedy")
    (waiting,) = await queued(some, "greedy")

    assert await refused(some, "greedy") is Limit.EXECUTIONS_PER_USER
    modest, nobody = await some.take("modest"), await some.take(None)
    (behind,) = [asyncio.ensure_future(some.take("other"))]
    await asyncio.sleep(0)
    modest.give_back()
    assert await granted(waiting, behind) == [False, True], "who may have no more lets others pass"
    place.give_back()
    assert await granted(waiting) == [True]
    for one in (waiting.result(), behind.result(), nobody):
        one.give_back()
    assert (some.taken, some.queued, some._running, some._waiting) == (0, 0, {}, {})


async def test_a_place_is_given_back_once() -> None:
    some = places()
    place = await some.take(None)
    place.give_back()
    place.give_back()
    assert some.taken == 0


async def test_who_is_cancelled_leaves_the_queue() -> None:
    some = places()
    place = await some.take("one")
    (waiting,) = await queued(some, "one")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (some.queued, some._waiting) == (0, {})
    place.give_back()
    assert some.taken == 0


async def test_who_is_cancelled_in_the_moment_of_getting_a_place_gives_it_back() -> None:
    some = places()
    place = await some.take(None)
    (waiting,) = await queued(some, None)
    place.give_back()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (some.taken, some.queued) == (0, 0)


async def test_a_place_is_not_given_to_who_was_cancelled_just_now() -> None:
    some = places()
    place = await some.take(None)
    gone, next_one = await queued(some, None, None)
    gone.cancel()
    place.give_back()
    await asyncio.gather(gone, return_exceptions=True)
    assert await granted(next_one) == [True]


async def test_a_stop_sends_away_who_waits() -> None:
    some = places()
    await some.take(None)
    (waiting,) = await queued(some, None)
    some.close()
    with pytest.raises(OverLimit):
        await waiting
    with pytest.raises(OverLimit):
        await some.take(None)
