"""Answers that are given while they arrive: what begins a stream, what ends it, and what bounds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import pytest

from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.messages import RawHeaders, Request, Response
from onceproxy.core.policies import OutcomeRules
from onceproxy.core.problems import ProblemType
from onceproxy.core.states import State
from onceproxy.guard import streaming
from onceproxy.guard.answers import Answer
from onceproxy.guard.growing import GrowingBody
from onceproxy.guard.guard import Guard, GuardLimits
from onceproxy.guard.ports import TellInterim
from onceproxy.guard.streaming import StreamCut
from simulated_store import SimulatedStore
from unit.guard.test_guard import ACTION, ID, REQUEST, problem

EVENTS = (b"content-type", b"Text/Event-Stream;charset=utf-8")
LIMIT = 1000


@dataclass
class Arriving:
    """An upstream whose response arrives piece by piece, as the test puts them in; None is its end."""

    status: int = 200
    headers: RawHeaders = (EVENTS,)
    pieces: asyncio.Queue[bytes | Exception | None] = field(default_factory=asyncio.Queue)
    body: GrowingBody = field(default_factory=GrowingBody)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0

    async def send(
        self,
        request: Request,
        may_send: Callable[[], bool],
        *,
        reuse_idle: float | None = None,
        head_arrived: Callable[[Response], None] | None = None,
        interim: TellInterim = None,
    ) -> Attempt:
        self.sent += 1
        response = Response(self.status, b"", self.headers, self.body)
        assert head_arrived is not None
        head_arrived(response)
        self.begun.set()
        while (piece := await self.pieces.get()) is not None:
            if isinstance(piece, Exception):
                return Attempt(WirePhase.HEAD_RECEIVED, failure=Failure.TIMEOUT, detail="too slow")
            self.body.write(piece)
            await self.body.room()
        return Attempt(WirePhase.BODY_RECEIVED, response=response, status=self.status)


def guarded(upstream: Arriving) -> tuple[Guard, SimulatedStore]:
    store = SimulatedStore()
    return Guard(store, upstream, GuardLimits(receipt_body=LIMIT, store_patience=0.2)), store


def stream_of(answer: Answer) -> AsyncIterator[bytes]:
    assert answer.stream is not None
    assert (answer.state, answer.reason, answer.executed) == (State.CLAIMED, "streaming", True)
    return answer.stream


async def settled(store: SimulatedStore) -> None:
    async with asyncio.timeout(5):
        while store.receipts[ID].state is State.CLAIMED:
            await asyncio.sleep(0.001)


async def test_events_begin_at_their_head() -> None:
    upstream = Arriving()
    guard, store = guarded(upstream)
    stream = stream_of(await guard.once(ACTION, REQUEST))
    upstream.pieces.put_nowait(b"1")
    assert await anext(stream) == b"1"
    upstream.pieces.put_nowait(None)
    assert [piece async for piece in stream] == []
    assert store.receipts[ID].state is State.COMPLETED


@pytest.mark.parametrize(
    ("status", "headers", "method"),
    [(204, (EVENTS,), "POST"), (200, (EVENTS, (b"Content-Length", b"0")), "POST"), (200, (EVENTS,), "HEAD")],
)
async def test_a_head_that_is_all_there_is_waits_for_its_receipt(
    status: int, headers: RawHeaders, method: str
) -> None:
    upstream = Arriving(status, headers)
    guard, store = guarded(upstream)
    asking = asyncio.ensure_future(guard.once(ACTION, replace(REQUEST, method=method)))
    await upstream.begun.wait()
    store.fail = 10**6
    upstream.pieces.put_nowait(None)
    assert problem(await asking) is ProblemType.STORE_UNAVAILABLE


async def test_an_answer_that_is_soon_whole_is_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOMENT", 1000)
    upstream = Arriving(headers=())
    guard, store = guarded(upstream)
    asking = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await upstream.begun.wait()
    store.fail = 10**6
    for piece in (b"ab", b"c", None):
        upstream.pieces.put_nowait(piece)
    answer = await asking
    assert answer.stream is None
    assert answer.reason == "stored-later"


async def test_an_answer_that_takes_longer_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOMENT", 0)
    upstream = Arriving(headers=())
    guard, _ = guarded(upstream)
    stream = stream_of(await guard.once(ACTION, REQUEST))
    upstream.pieces.put_nowait(b"ab")
    assert await anext(stream) == b"ab"
    upstream.pieces.put_nowait(None)
    assert [piece async for piece in stream] == []


async def test_what_is_whole_while_it_is_being_stored_stays_out_of_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "MOMENT", 0.05)  # less than the store's patience
    upstream = Arriving(headers=())
    guard, store = guarded(upstream)
    store.fail = 0
    asking = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await upstream.begun.wait()
    store.fail = 10**6
    upstream.pieces.put_nowait(None)
    assert (await asking).stream is None


@pytest.mark.parametrize(
    ("status", "rules"),
    [
        (429, OutcomeRules()),
        (503, OutcomeRules()),
        (200, OutcomeRules(in_doubt=frozenset({200}))),
    ],
)
async def test_a_status_that_settles_nothing_begins_no_stream(
    status: int, rules: OutcomeRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "MOMENT", 0)
    upstream = Arriving(status)
    guard, _ = guarded(upstream)
    action = replace(ACTION, policy=replace(ACTION.policy, outcomes=rules))
    asking = asyncio.ensure_future(guard.once(action, REQUEST))
    await upstream.begun.wait()
    await asyncio.sleep(0)
    upstream.pieces.put_nowait(b"no")
    upstream.pieces.put_nowait(None)
    answer = await asking
    assert answer.stream is None
    assert answer.response is not None
    assert answer.response.body.read() == b"no"


async def test_a_status_that_a_route_takes_for_an_answer_begins_one() -> None:
    upstream = Arriving(503)
    guard, _ = guarded(upstream)
    rules = OutcomeRules(completed=frozenset({503}))
    action = replace(ACTION, policy=replace(ACTION.policy, outcomes=rules))
    stream = stream_of(await guard.once(action, REQUEST))
    upstream.pieces.put_nowait(None)
    assert [piece async for piece in stream] == []


async def test_a_stream_whose_receipt_can_not_be_stored_has_no_end() -> None:
    upstream = Arriving()
    guard, store = guarded(upstream)
    stream = stream_of(await guard.once(ACTION, REQUEST))
    store.fail = 10**6
    upstream.pieces.put_nowait(b"1")
    upstream.pieces.put_nowait(None)
    assert await anext(stream) == b"1"
    with pytest.raises(StreamCut):
        await anext(stream)
    store.fail = 0
    await settled(store)
    assert (await guard.once(ACTION, REQUEST)).replayed  # stored later, as a whole


async def test_a_stream_that_is_cut_gives_what_arrived_and_no_end() -> None:
    upstream = Arriving()
    guard, store = guarded(upstream)
    stream = stream_of(await guard.once(ACTION, REQUEST))
    upstream.pieces.put_nowait(b"1")
    upstream.pieces.put_nowait(b"2")
    upstream.pieces.put_nowait(TimeoutError())
    await settled(store)
    assert await anext(stream) == b"12"
    with pytest.raises(StreamCut):
        await anext(stream)
    receipt = store.receipts[ID]
    assert receipt.partial
    assert receipt.response is not None
    assert receipt.response.body.read() == b"12"
    assert problem(await guard.once(ACTION, REQUEST)) is ProblemType.OUTCOME_UNKNOWN
    assert upstream.sent == 1


async def test_what_was_stopped_amid_its_answer_is_evidence() -> None:
    upstream = Arriving()
    guard, store = guarded(upstream)
    stream = stream_of(await guard.once(ACTION, REQUEST))
    upstream.pieces.put_nowait(b"1")
    assert await anext(stream) == b"1"
    await guard.stop(0)
    with pytest.raises(StreamCut):
        await anext(stream)
    receipt = store.receipts[ID]
    assert (receipt.state, receipt.phase, receipt.failure) == (State.IN_DOUBT, "head-received", "stopped")
    assert receipt.partial


async def test_a_client_that_leaves_its_stream_does_not_stop_it() -> None:
    upstream = Arriving()
    guard, store = guarded(upstream)
    answer = await guard.once(ACTION, REQUEST)
    upstream.pieces.put_nowait(b"1")
    assert answer.stream is not None
    assert await anext(answer.stream) == b"1"
    await answer.stream.aclose()
    upstream.pieces.put_nowait(b"2")
    upstream.pieces.put_nowait(None)
    await settled(store)
    later = await guard.once(ACTION, REQUEST)
    assert later.response is not None
    assert later.response.body.read() == b"12"
    assert upstream.sent == 1


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("status", [200, 500])
async def test_a_body_that_no_receipt_keeps_goes_no_faster_than_its_client(status: int, length: bool) -> None:
    total = 300 * LIMIT
    headers: RawHeaders = ((b"Content-Length", b"%d" % total),) if length else ()
    upstream = Arriving(status, headers)
    guard, store = guarded(upstream)
    for _ in range(300):
        upstream.pieces.put_nowait(bytes(LIMIT))
    upstream.pieces.put_nowait(None)
    stream = stream_of(await guard.once(ACTION, REQUEST))
    got = most = 0
    while store.receipts[ID].state is State.CLAIMED:
        try:
            got += len(await anext(stream))
        except StopAsyncIteration:
            break
        most = max(most, upstream.body.size - got)
    got += sum([len(piece) async for piece in stream])
    assert got == total
    assert most <= 3 * LIMIT
    assert store.receipts[ID].body_size == total
    assert not store.receipts[ID].body_kept
    assert upstream.sent == 1


async def test_a_client_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SLOWEST", 0.01)
    upstream = Arriving()
    guard, store = guarded(upstream)
    stream = stream_of(await guard.once(ACTION, REQUEST))
    for _ in range(5):
        upstream.pieces.put_nowait(bytes(LIMIT))
    upstream.pieces.put_nowait(None)
    assert await anext(stream)
    await settled(store)
    with pytest.raises(StreamCut):
        await anext(stream)
    assert (store.receipts[ID].state, store.receipts[ID].body_size) == (State.COMPLETED, 5 * LIMIT)


async def test_a_body_that_nobody_can_get_any_more_is_let_go() -> None:
    upstream = Arriving(headers=())
    guard, store = guarded(upstream)
    asking = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await upstream.begun.wait()
    asking.cancel()
    await asyncio.wait({asking})
    for _ in range(500):
        upstream.pieces.put_nowait(bytes(LIMIT))
    upstream.pieces.put_nowait(None)
    await settled(store)
    assert store.receipts[ID].body_size == 500 * LIMIT
    with pytest.raises(ValueError, match="does not hold byte 0 any more"):
        upstream.body.read()


async def test_a_client_that_leaves_holds_nothing_up() -> None:
    upstream = Arriving()
    guard, store = guarded(upstream)
    answer = await guard.once(ACTION, REQUEST)
    for _ in range(50):
        upstream.pieces.put_nowait(bytes(LIMIT))
    upstream.pieces.put_nowait(None)
    assert answer.stream is not None
    assert await anext(answer.stream)
    await answer.stream.aclose()
    await settled(store)
    assert store.receipts[ID].body_size == 50 * LIMIT
