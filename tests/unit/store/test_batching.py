"""Batches: who goes together, who waits, and what becomes of the others when one of them fails or leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from onceproxy.store.batching import Lane, NotBatched


class Statement:
    """Does what it is asked when it is let; remembers its batches."""

    def __init__(self, error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.error = error

    async def __call__(self, batch: Sequence[str]) -> Sequence[str]:
        self.batches.append(list(batch))
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return [asked.upper() for asked in batch]


def lane_over(statement: Statement, **settings: Any) -> Lane[str, str]:
    return Lane("claims", statement, **settings)


def ask(lane: Lane[str, str], asked: str, key: str | None = None, size: int = 0) -> asyncio.Task[str]:
    return asyncio.create_task(lane.ask((key or asked).encode(), asked, size))


async def settle_down() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_comes_alone_goes_at_once() -> None:
    statement = Statement()
    asking = ask(lane_over(statement), "a")
    await settle_down()

    assert statement.batches == [["a"]]
    statement.open.set()
    assert await asking == "A"


async def test_who_comes_together_goes_together_in_the_order_of_the_keys() -> None:
    statement = Statement()
    lane = lane_over(statement)
    statement.open.set()

    assert await asyncio.gather(*(ask(lane, one) for one in "cab")) == ["C", "A", "B"]

    assert statement.batches == [["a", "b", "c"]]


async def test_who_comes_while_all_flights_are_under_way_is_the_next_batch() -> None:
    statement = Statement()
    lane = lane_over(statement, flights=2)
    tasks = []
    for one in ("a", "b", "c", "d"):
        tasks.append(ask(lane, one))
        await settle_down()

    assert statement.batches == [["a"], ["b"]]

    statement.open.set()
    assert await asyncio.gather(*tasks) == ["A", "B", "C", "D"]
    assert statement.batches == [["a"], ["b"], ["c", "d"]]


@pytest.mark.parametrize(
    ("bounds", "batches"),
    [
        ({"rows": 2}, [["a", "b"], ["c", "d"], ["e"]]),
        ({"size": 100}, [["a", "b", "d"], ["c"], ["e"]]),
    ],
    ids=["rows", "bytes"],
)
async def test_a_batch_is_bounded(bounds: dict[str, int], batches: list[list[str]]) -> None:
    statement = Statement()
    statement.open.set()
    lane = lane_over(statement, flights=1, **bounds)

    await asyncio.gather(
        *(ask(lane, one, size=size) for one, size in (("a", 40), ("b", 40), ("c", 60), ("d", 20), ("e", 900)))
    )

    assert statement.batches == batches


async def test_one_key_is_never_twice_under_way() -> None:
    statement = Statement()
    lane = lane_over(statement, flights=3)
    first = [ask(lane, "x1", key="x"), ask(lane, "x2", key="x"), ask(lane, "a")]
    await settle_down()
    later = [ask(lane, "x3", key="x"), ask(lane, "b")]
    await settle_down()

    assert statement.batches == [["a", "x1"], ["b"]]

    statement.open.set()
    await asyncio.gather(*first, *later)
    assert statement.batches == [["a", "x1"], ["b"], ["x2"], ["x3"]]


async def test_who_leaves_before_take_off_is_not_aboard() -> None:
    statement = Statement()
    lane = lane_over(statement, flights=1)
    asking = [ask(lane, "a")]
    await settle_down()
    leaving, staying = ask(lane, "b"), ask(lane, "c")
    await settle_down()
    leaving.cancel()
    statement.open.set()

    assert await asyncio.gather(*asking, staying) == ["A", "C"]
    assert statement.batches == [["a"], ["c"]]


async def test_who_leaves_under_way_disturbs_nobody() -> None:
    statement = Statement()
    lane = lane_over(statement)
    leaving, staying = ask(lane, "a"), ask(lane, "b")
    await settle_down()
    leaving.cancel()
    await asyncio.wait({leaving})
    statement.open.set()

    assert await staying == "B"


@pytest.mark.parametrize("error", [asyncpg.CheckViolationError("no"), TimeoutError(), OSError("cut")])
async def test_a_batch_that_fails_leaves_each_to_its_own_try_and_the_lane_open(error: Exception) -> None:
    statement = Statement(error)
    statement.open.set()
    lane = lane_over(statement)

    results = await asyncio.gather(*(ask(lane, one) for one in "ab"), return_exceptions=True)
    statement.error = None

    assert [type(result) for result in results] == [NotBatched, NotBatched]
    assert await ask(lane, "a") == "A"


async def test_who_waits_for_a_key_whose_batch_failed_goes_alone_as_well() -> None:
    statement = Statement(asyncpg.LockNotAvailableError("held"))
    lane = lane_over(statement, flights=1)
    first = [ask(lane, "x1", key="x")]
    await settle_down()
    copies, other = [ask(lane, "x2", key="x"), ask(lane, "x3", key="x")], ask(lane, "a")
    await settle_down()
    statement.open.set()

    results = await asyncio.gather(*first, *copies, return_exceptions=True)
    statement.error = None

    assert [type(result) for result in results] == [NotBatched] * 3
    await asyncio.gather(other, return_exceptions=True)
    assert statement.batches == [["x1"], ["a"]]


async def test_a_mistake_of_ours_leaves_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    statement = Statement(LookupError("a mistake"))
    lane = lane_over(statement, flights=1)
    first = ask(lane, "a")
    await settle_down()
    second = ask(lane, "b")
    statement.open.set()

    for asking in (first, second):
        with pytest.raises(NotBatched):
            await asking
    await settle_down()
    assert "a mistake" in caplog.text


async def test_each_batch_is_told_with_its_size() -> None:
    statement = Statement()
    statement.open.set()
    told: list[tuple[str, int]] = []
    lane = lane_over(statement, batched=lambda name, rows: told.append((name, rows)))

    await asyncio.gather(*(ask(lane, one) for one in "abc"))
    await ask(lane, "d")

    assert told == [("claims", 3), ("claims", 1)]


async def test_at_the_end_a_batch_that_does_not_end_is_left() -> None:
    statement = Statement()
    lane = lane_over(statement)
    asking = ask(lane, "a")
    await settle_down()

    await lane.close(0.01)

    with pytest.raises(NotBatched):
        await asking


@pytest.mark.parametrize("flights", [1, 2])
async def test_who_comes_again_as_soon_as_it_is_told_does_not_wait_for_others(flights: int) -> None:
    statement = Statement()
    lane = lane_over(statement, flights=flights)
    statement.open.set()

    async def twice(name: str) -> str:
        await lane.ask(name.encode(), name)
        return await lane.ask(name.encode(), name)

    async with asyncio.timeout(10):
        names = [str(number) for number in range(flights)]
        tasks = []
        for name in names:
            tasks.append(asyncio.create_task(twice(name)))
            await asyncio.sleep(0)  # so that each is in a flight of its own
            await asyncio.sleep(0)
        assert await asyncio.gather(*tasks) == names


async def test_who_waits_for_a_key_that_is_under_way_keeps_nobody_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statement = Statement()
    lane = lane_over(statement, flights=2)
    first, second = ask(lane, "x1", key="x"), ask(lane, "x2", key="x")
    boarded, board = 0, lane._board

    def counted() -> Any:
        nonlocal boarded
        boarded += 1
        return board()

    monkeypatch.setattr(lane, "_board", counted)
    for _ in range(20):
        await settle_down()

    assert boarded <= 3
    statement.open.set()
    assert [await first, await second] == ["X1", "X2"]
