"""Where there is no room, the guard sends and claims nothing; receipts still answer copies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from onceproxy.core.limits import Limit
from onceproxy.core.policies import Mode
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action, RequestId
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer
from onceproxy.guard.guard import Guard, GuardLimits
from onceproxy.guard.ports import NoMeter
from simulated_store import SimulatedStore
from unit.guard.test_guard import ACTION, REQUEST, Scripted, answered, problem


class Counted(NoMeter):
    """Counts which limits were hit."""

    def __init__(self) -> None:
        self.limits: Counter[Limit] = Counter()

    def limit_hit(self, limit: Limit) -> None:
        """Count."""
        self.limits[limit] += 1


class Scene:
    """A guard with one place unless told otherwise; what is sent waits for ``execute.go``."""

    def __init__(self, **limits: float) -> None:
        self.store, self.execute, self.meter = SimulatedStore(), Scripted([answered()]), Counted()
        given = {"executions": 1, "queue": 0, **limits}
        self.guard = Guard(self.store, self.execute, GuardLimits(**given), meter=self.meter)  # type: ignore[arg-type]

    def copy(self, action: Action) -> asyncio.Task[Answer]:
        return asyncio.ensure_future(self.guard.once(action, REQUEST))

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0)

    @property
    def waiting(self) -> int:
        return self.guard._waiters._all


def an_action(number: int, **changes: object) -> Action:
    policy = replace(ACTION.policy, wait=600.0)
    return replace(ACTION, request_id=RequestId(bytes([number]) * 32), policy=policy, **changes)  # type: ignore[arg-type]


ONE, TWO, THREE = an_action(1), an_action(2), an_action(3)


async def test_beyond_the_executions_nothing_is_sent_and_nothing_claimed() -> None:
    scene = Scene()
    first = scene.copy(ONE)
    await scene.execute.started.wait()

    told = await scene.guard.once(TWO, REQUEST)

    assert (problem(told), told.state) == (ProblemType.OVERLOADED, None)
    assert told.problem is not None
    assert (told.problem.retry_after, told.problem.extra) == (1, (("limit", "executions"),))
    assert TWO.request_id not in scene.store.receipts
    assert scene.meter.limits == {Limit.EXECUTIONS: 1}
    scene.execute.go.set()
    await first
    assert (await scene.guard.once(TWO, REQUEST)).executed
    assert scene.execute.sent == 2


async def test_what_waits_in_the_queue_is_claimed_when_its_turn_comes() -> None:
    scene = Scene(queue=2)
    first = scene.copy(ONE)
    await scene.execute.started.wait()
    second, third = scene.copy(TWO), scene.copy(THREE)
    await scene.until(lambda: scene.guard._places.queued == 2)
    assert list(scene.store.receipts) == [ONE.request_id]

    scene.execute.go.set()

    assert all(answer.executed for answer in await asyncio.gather(first, second, third))
    claims = [who for who, what in scene.store.events if what == "claim"]
    assert claims == [ONE.request_id, TWO.request_id, THREE.request_id]


async def test_a_copy_is_answered_from_its_receipt_though_there_is_no_place() -> None:
    scene = Scene()
    scene.execute.go.set()
    await scene.guard.once(ONE, REQUEST)
    scene.execute.go.clear()
    scene.execute.started.clear()
    at_work = scene.copy(TWO)
    await scene.execute.started.wait()

    assert (await scene.guard.once(ONE, REQUEST)).replayed
    waits = scene.copy(TWO)
    await scene.until(lambda: scene.waiting == 1)
    scene.execute.go.set()
    assert (await at_work).executed
    assert (await waits).replayed


async def test_a_client_that_leaves_does_not_free_its_place() -> None:
    scene = Scene()
    first = scene.copy(ONE)
    await scene.execute.started.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    assert problem(await scene.guard.once(TWO, REQUEST)) is ProblemType.OVERLOADED
    scene.execute.go.set()
    await scene.until(lambda: scene.guard._places.taken == 0)
    assert scene.store.receipts[ONE.request_id].state is State.COMPLETED


async def test_a_claim_that_fails_gives_its_place_back() -> None:
    scene = Scene()
    scene.store.fail = 1
    assert problem(await scene.guard.once(ONE, REQUEST)) is ProblemType.STORE_UNAVAILABLE
    scene.execute.go.set()
    assert (await scene.guard.once(ONE, REQUEST)).executed
    assert (await scene.guard.once(ONE, REQUEST)).replayed
    assert scene.guard._places.taken == 0


async def test_a_user_has_a_share() -> None:
    scene = Scene(executions=2, executions_per_user=1, queue=1)
    first = scene.copy(replace(ONE, user="greedy"))
    await scene.execute.started.wait()
    second = scene.copy(replace(TWO, user="greedy"))
    await scene.until(lambda: scene.guard._places.queued == 1)

    told = await scene.guard.once(replace(THREE, user="greedy"), REQUEST)

    assert told.problem is not None
    assert told.problem.extra == (("limit", "executions_per_user"),)
    other = scene.copy(replace(an_action(4), user="modest"))
    await scene.until(lambda: scene.execute.sent == 2)
    scene.execute.go.set()
    assert all(answer.executed for answer in await asyncio.gather(first, second, other))


@pytest.mark.parametrize(
    ("limits", "hit"),
    [
        ({"waiters_per_action": 1}, Limit.WAITERS_PER_ACTION),
        ({"waiters": 1}, Limit.WAITERS),
        ({"waiters": 0}, Limit.WAITERS),
    ],
)
async def test_beyond_the_waiters_a_copy_hears_at_once_that_it_is_at_work(
    limits: dict[str, int], hit: Limit
) -> None:
    scene = Scene(**limits)
    first = scene.copy(ONE)
    await scene.execute.started.wait()
    may_wait = min(limits.values())
    waiting = [scene.copy(ONE) for _ in range(may_wait)]
    await scene.until(lambda: scene.waiting == may_wait)

    told = await scene.guard.once(ONE, REQUEST)

    assert (problem(told), told.state) == (ProblemType.IN_PROGRESS, State.CLAIMED)
    assert told.problem is not None
    assert told.problem.retry_after == 1
    assert scene.meter.limits == {hit: 1}
    scene.execute.go.set()
    assert [answer.replayed for answer in await asyncio.gather(first, *waiting)] == [False] + [
        True
    ] * may_wait
    assert scene.waiting == 0


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.OFF])
async def test_what_is_only_watched_needs_a_place_too(mode: Mode) -> None:
    scene = Scene()
    watched = replace(ONE, policy=replace(ONE.policy, mode=mode))
    first = scene.copy(watched)
    await scene.execute.started.wait()

    assert problem(await scene.guard.once(watched, REQUEST)) is ProblemType.OVERLOADED
    scene.execute.go.set()
    assert (await first).executed
    assert (await scene.guard.once(watched, REQUEST)).executed
    assert scene.guard._places.taken == 0


async def test_a_stop_tells_who_waits_in_the_queue() -> None:
    scene = Scene(queue=1)
    first = scene.copy(ONE)
    await scene.execute.started.wait()
    second = scene.copy(TWO)
    await scene.until(lambda: scene.guard._places.queued == 1)

    await scene.guard.stop(0)

    assert problem(await second) is ProblemType.SHUTTING_DOWN
    assert TWO.request_id not in scene.store.receipts
    await first
