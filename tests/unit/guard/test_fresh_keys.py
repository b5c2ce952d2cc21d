"""Actions that come again under a fresh key: held, or sent and told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from onceproxy.core.policies import Mode
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action, Likeness, RequestId
from onceproxy.core.rules import FreshKey
from onceproxy.guard.guard import Guard
from onceproxy.guard.ports import NoMeter
from simulated_store import SimulatedStore
from unit.guard.test_guard import ACTION, REQUEST, Scripted, answered

FRESH = RequestId(b"\2" * 32)


@dataclass
class Counting(NoMeter):
    repeated: list[str] = field(default_factory=list)
    would: list[str] = field(default_factory=list)

    def looks_repeated(self, route: str) -> None:
        self.repeated.append(route)

    def observed(self, route: str, would: str) -> None:
        self.would.append(would)


def an_action(treatment: FreshKey, mode: Mode = Mode.ENFORCE) -> Action:
    likeness = Likeness(b"l" * 32, treatment, 60.0)
    return replace(ACTION, likeness=likeness, policy=replace(ACTION.policy, mode=mode))


def a_guard() -> tuple[Guard, SimulatedStore, Scripted, Counting]:
    store, execute, meter = SimulatedStore(), Scripted([answered()]), Counting()
    execute.go.set()
    return Guard(store, execute, meter=meter), store, execute, meter


async def test_it_is_held() -> None:
    guard, store, execute, meter = a_guard()
    action = an_action(FreshKey.HOLD)
    await guard.once(action, REQUEST)

    answer = await guard.once(replace(action, request_id=FRESH), REQUEST)

    assert answer.problem is not None
    assert answer.problem.type is ProblemType.LOOKS_REPEATED
    assert (answer.request_id, answer.state) == (action.request_id, None)
    assert (execute.sent, FRESH in store.receipts, meter.repeated) == (1, False, [])
    assert (await guard.once(action, REQUEST)).replayed


async def test_it_is_sent_and_counted() -> None:
    guard, _, execute, meter = a_guard()
    action = an_action(FreshKey.WARN)
    await guard.once(action, REQUEST)
    assert meter.repeated == []

    answer = await guard.once(replace(action, request_id=FRESH), REQUEST)

    assert answer.executed
    assert (execute.sent, meter.repeated) == (2, ["default"])


@pytest.mark.parametrize(
    ("treatment", "would"),
    [(FreshKey.HOLD, ["would-refuse-looks-repeated"]), (FreshKey.WARN, ["would-warn-looks-repeated"])],
)
async def test_where_it_is_only_watched_it_is_sent_and_has_a_receipt(
    treatment: FreshKey, would: list[str]
) -> None:
    guard, store, execute, meter = a_guard()
    action = an_action(treatment, Mode.OBSERVE)
    await guard.once(action, REQUEST)
    assert meter.would == []

    answer = await guard.once(replace(action, request_id=FRESH), REQUEST)

    assert (answer.executed, execute.sent, meter.would) == (True, 2, would)
    assert (FRESH, "observed") in store.events
    assert (FRESH, "claim") in store.events
