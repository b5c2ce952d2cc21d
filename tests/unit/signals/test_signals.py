"""What is told of a request on its way, also where it ends otherwise than hoped."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from onceproxy.core.attempts import Attempt, WirePhase
from onceproxy.core.messages import BytesBody, Origin, Request
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.core.receipts import Claim
from onceproxy.guard.answers import Answer
from onceproxy.guard.ports import Note, StoreUnavailable
from onceproxy.signals.journey import CLAIM, STAGES, Stage, current
from onceproxy.signals.measuring import MeasuredExecute, MeasuredStore
from onceproxy.signals.ports import NoRecorder
from onceproxy.signals.signals import Signals
from onceproxy.signals.watching import LevelWatch
from simulated_store import SimulatedStore
from stores import an_action, completed

REQUEST = Request("POST", Origin("http", "api.example", 80), b"/pay", (), BytesBody(b""))
ACTION = an_action()


@dataclass
class Recorded(NoRecorder):
    """What a recorder was told, without the seconds."""

    told: list[tuple[str, ...]] = field(default_factory=list)

    def request(self, route: str, decision: str, outcome: str, seconds: float) -> None:
        self.told.append(("request", route, decision, outcome))

    def saved(self, route: str) -> None:
        self.told.append(("saved", route))

    def attempt(self, route: str, outcome: str) -> None:
        self.told.append(("attempt", route, outcome))

    def claim_took(self, seconds: float) -> None:
        self.told.append(("claim took",))

    def store_error(self, verb: str) -> None:
        self.told.append(("store error", verb))


@dataclass
class Execute:
    """Sends nothing and has its answer."""

    async def send(self, request: Request, *_: object, **__: object) -> Attempt:
        return Attempt(WirePhase.BODY_RECEIVED, status=201)


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


async def test_what_goes_on_when_the_client_has_left_is_told_to_its_journey(recorded: Recorded) -> None:
    signals = Signals(recorded)
    store = MeasuredStore(SimulatedStore(), recorded)
    execute = MeasuredExecute(Execute(), recorded)
    go = asyncio.Event()

    async def carry_on(claim: Claim) -> None:
        await go.wait()
        await execute.send(REQUEST, lambda: True)
        await store.settle(claim, completed())

    async def serve() -> None:
        with signals.journey(REQUEST) as journey:
            journeys.append(journey)
            journey.arrived("charges", 0)
            journey.action = ACTION
            claim = await store.claim(ACTION)
            assert isinstance(claim, Claim)
            going_on.append(asyncio.create_task(carry_on(claim)))
            await asyncio.Event().wait()

    journeys: list[Any] = []
    going_on: list[asyncio.Task[None]] = []
    with capture_logs() as logs:
        serving = asyncio.create_task(serve())
        while not going_on:
            await asyncio.sleep(0)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        go.set()
        await going_on[0]

    assert recorded.told == [
        ("claim took",),
        ("request", "charges", "left", "client-left"),
        ("attempt", "charges", "completed"),
    ]
    assert set(journeys[0].took) == set(STAGES) - {"identity"}
    [line] = logs
    assert (line["decision"], line["request_id"]) == ("left", str(ACTION.request_id))
    assert current() is None  # each task has its own


@pytest.mark.parametrize("verb", ["claim", "settle", "read", "load", "resolve", "note"])
async def test_each_error_of_the_store_is_counted_and_passed_on(recorded: Recorded, verb: str) -> None:
    inner = SimulatedStore()
    store = MeasuredStore(inner, recorded)
    claim = await inner.claim(ACTION)
    receipt = await inner.read(ACTION.request_id)
    assert receipt is not None
    arguments: dict[str, tuple[Any, ...]] = {
        "claim": (ACTION,),
        "settle": (claim, completed()),
        "read": (ACTION.request_id,),
        "load": (receipt,),
        "resolve": (ACTION.request_id, 1, None),
        "note": (ACTION.request_id, Note.REPLAYED),
    }
    inner.fail = 1

    with pytest.raises(StoreUnavailable):
        await getattr(store, verb)(*arguments[verb])

    assert recorded.told == [("store error", verb)]


@pytest.mark.parametrize(
    ("kind", "saves"),
    [
        (ProblemType.OUTCOME_UNKNOWN, True),
        (ProblemType.IN_PROGRESS, True),
        (ProblemType.BODY_NOT_KEPT, True),
        (ProblemType.KEY_REUSED, False),
        (ProblemType.STORE_UNAVAILABLE, False),
        (ProblemType.OVERLOADED, False),
    ],
)
def test_a_refusal_saves_an_execution_where_a_receipt_stood_in_the_way(
    recorded: Recorded, kind: ProblemType, saves: bool
) -> None:
    signals = Signals(recorded)
    journey = signals.journey(REQUEST)

    refused = Answer(ACTION.request_id, None, 0, kind.slug, problem=Problem(kind, "words"))
    signals.decided(journey, ACTION, refused)

    assert (("saved", "charges") in recorded.told) is saves


def test_stages_that_come_more_than_once_are_added_up() -> None:
    journey = Signals().journey(REQUEST)
    seconds = 0.0
    for _ in range(3):
        with Stage(CLAIM, journey) as stage:
            pass
        seconds += stage.seconds

    assert journey.took == {CLAIM: pytest.approx(seconds)}


@dataclass
class Levels:
    told: list[tuple[float, ...]] = field(default_factory=list)

    def doubts(self, count: int, oldest: float) -> None:
        self.told.append((count, oldest))

    def spool(self, records: int, size: int) -> None:
        self.told.append((records, size))


async def test_what_can_not_be_looked_at_stands_as_it_was(recorded: Recorded) -> None:
    async def away() -> tuple[int, float]:
        raise StoreUnavailable("away")

    async def spooled() -> tuple[int, int]:
        return 2, 512

    levels = Levels()
    await LevelWatch(away, spooled, levels, recorded, every=3600.0).run_once()

    assert levels.told == [(2, 512)]
    assert recorded.told == [("store error", "count")]
