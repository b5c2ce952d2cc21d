"""The guard's protocol over a simulated store and a scripted way to execute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.messages import BytesBody, Origin, Request, Response
from onceproxy.core.policies import InDoubt, Policy
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action, Claim, IdentityKind, Receipt, RequestId
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer
from onceproxy.guard.guard import Guard, GuardLimits
from onceproxy.guard.ports import TellInterim
from simulated_store import SimulatedStore

ID = RequestId(b"\1" * 32)
ACTION = Action(
    ID,
    IdentityKind.FINGERPRINT,
    1,
    (),
    b"f" * 32,
    b"",
    "default",
    "POST",
    "https://api.example/pay",
    Policy(wait=0.2),
)
REQUEST = Request("POST", Origin("https", "api.example", 443), b"/pay")


def answered(status: int = 201, body: bytes = b"{}") -> Attempt:
    headers = ((b"Set-Cookie", b"s=1"), (b"X-Id", b"7"))
    response = Response(status, b"", headers, BytesBody(body))
    return Attempt(WirePhase.BODY_RECEIVED, response=response, status=status)


def lost(phase: WirePhase) -> Attempt:
    return Attempt(phase, failure=Failure.CONNECTION_LOST, detail="the line was cut")


@dataclass
class Scripted:
    """Executes by a script; counts, and holds each sending until ``go`` is set."""

    attempts: list[Attempt | Exception]
    sent: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(
        self,
        request: Request,
        may_send: Callable[[], bool],
        *,
        reuse_idle: float | None = None,
        head_arrived: Callable[[Response], None] | None = None,
        interim: TellInterim = None,
    ) -> Attempt:
        if not may_send():
            return Attempt(WirePhase.SENT_NOTHING, failure=Failure.LEASE_LOST, detail="lease lost")
        self.sent += 1
        self.started.set()
        await self.go.wait()
        attempt = self.attempts[min(self.sent, len(self.attempts)) - 1]
        if isinstance(attempt, Exception):
            raise attempt
        return attempt


def guarded(
    *attempts: Attempt | Exception, held: bool = False, patience: float = 0.2
) -> tuple[Guard, SimulatedStore, Scripted]:
    store, execute = SimulatedStore(), Scripted(list(attempts))
    if not held:
        execute.go.set()
    limits = GuardLimits(receipt_body=10, store_patience=patience)
    return Guard(store, execute, limits), store, execute


def problem(answer: Answer) -> ProblemType:
    assert answer.problem is not None
    return answer.problem.type


async def test_a_copy_is_answered_from_the_receipt() -> None:
    guard, store, execute = guarded(answered())
    first = await guard.once(ACTION, REQUEST)
    assert first.executed
    assert first.state is State.COMPLETED
    assert first.response is not None
    assert (b"Set-Cookie", b"s=1") in first.response.headers
    later = await guard.once(ACTION, REQUEST)
    assert later.replayed
    assert later.response is not None
    assert later.response.headers == ((b"X-Id", b"7"),)
    assert execute.sent == 1
    await guard.stop(1)
    assert store.events == [(ID, "claim"), (ID, "complete"), (ID, "replayed")]


async def test_copies_at_the_same_moment_wait_for_the_one_at_work() -> None:
    guard, _, execute = guarded(answered(), held=True)
    copies = [asyncio.ensure_future(guard.once(ACTION, REQUEST)) for _ in range(20)]
    await execute.started.wait()
    execute.go.set()
    answers = await asyncio.gather(*copies)
    assert execute.sent == 1
    assert sum(answer.executed for answer in answers) == 1
    assert sum(answer.replayed for answer in answers) == 19


async def test_a_wait_ends() -> None:
    guard, _, execute = guarded(answered(), held=True)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    answer = await guard.once(ACTION, REQUEST)
    assert problem(answer) is ProblemType.IN_PROGRESS
    assert answer.state is State.CLAIMED
    execute.go.set()
    assert (await first).executed


async def test_a_waiter_takes_over_what_did_not_happen() -> None:
    guard, _, execute = guarded(answered(429), answered(), held=True)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    second = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    while not guard._store.watches:  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    execute.go.set()
    assert (await first).state is State.RELEASED
    assert (await second).executed
    assert (await second).attempt == 2
    assert execute.sent == 2


async def test_a_waiter_learns_that_the_owner_died() -> None:
    guard, store, execute = guarded(answered(), held=True)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    second = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    while not store.watches:
        await asyncio.sleep(0)
    store.lose(ID)
    assert problem(await second) is ProblemType.OUTCOME_UNKNOWN
    execute.go.set()
    assert (await first).state is State.COMPLETED
    assert (await guard.once(ACTION, REQUEST)).replayed


async def test_a_waiter_takes_over_what_was_purged() -> None:
    guard, store, execute = guarded(answered(), held=True)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    second = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    while not store.watches:
        await asyncio.sleep(0)
    del store.receipts[ID]
    store.ring(ID)
    while execute.sent < 2:
        await asyncio.sleep(0)
    execute.go.set()
    assert (await second).executed
    assert (await first).reason == "executed-twice"


@pytest.mark.parametrize("phase", [WirePhase.SENDING, WirePhase.SENT, WirePhase.HEAD_RECEIVED])
async def test_what_may_have_happened_is_never_sent_again(phase: WirePhase) -> None:
    guard, _, execute = guarded(lost(phase), answered())
    first = await guard.once(ACTION, REQUEST)
    assert problem(first) is ProblemType.UPSTREAM_FAILED
    assert first.state is State.IN_DOUBT
    assert first.problem is not None
    assert "not known" in first.problem.detail
    for _ in range(3):
        assert problem(await guard.once(ACTION, REQUEST)) is ProblemType.OUTCOME_UNKNOWN
    assert execute.sent == 1


@pytest.mark.parametrize("phase", [WirePhase.RESOLVING, WirePhase.CONNECTING, WirePhase.SENT_NOTHING])
async def test_what_did_not_happen_is_sent_by_the_next_copy(phase: WirePhase) -> None:
    guard, _, execute = guarded(lost(phase), answered())
    first = await guard.once(ACTION, REQUEST)
    assert problem(first) is ProblemType.UPSTREAM_UNREACHABLE
    assert not first.executed
    assert first.problem is not None
    assert "did not happen" in first.problem.detail
    assert (await guard.once(ACTION, REQUEST)).executed
    assert execute.sent == 2


async def test_a_5xx_is_passed_on_and_leaves_doubt() -> None:
    guard, _, execute = guarded(answered(503))
    first = await guard.once(ACTION, REQUEST)
    assert first.response is not None
    assert (first.response.status, first.state) == (503, State.IN_DOUBT)
    assert problem(await guard.once(ACTION, REQUEST)) is ProblemType.OUTCOME_UNKNOWN
    assert execute.sent == 1


async def test_a_response_over_the_limit_is_not_sent_twice() -> None:
    guard, _, execute = guarded(answered(body=b"x" * 11))
    first = await guard.once(ACTION, REQUEST)
    assert first.response is not None
    assert first.response.body.size == 11
    assert problem(await guard.once(ACTION, REQUEST)) is ProblemType.BODY_NOT_KEPT
    assert execute.sent == 1


async def test_nothing_is_sent_while_the_store_is_away() -> None:
    guard, store, execute = guarded(answered())
    store.fail = 1
    assert problem(await guard.once(ACTION, REQUEST)) is ProblemType.STORE_UNAVAILABLE
    assert execute.sent == 0
    assert (await guard.once(ACTION, REQUEST)).executed


async def test_nothing_is_sent_without_a_lease() -> None:
    guard, store, execute = guarded(answered())
    store.lease = False
    assert problem(await guard.once(ACTION, REQUEST)) is ProblemType.STORE_UNAVAILABLE
    assert execute.sent == 0
    assert store.receipts[ID].state is State.RELEASED


async def test_a_receipt_is_stored_in_the_end() -> None:
    guard, store, execute = guarded(answered(), held=True, patience=30)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    store.fail = 1
    execute.go.set()
    assert (await first).state is State.COMPLETED
    assert store.receipts[ID].state is State.COMPLETED


async def test_no_client_gets_a_response_that_is_not_durable() -> None:
    guard, store, execute = guarded(answered(), held=True)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    store.fail = 10**6
    execute.go.set()
    answer = await first
    assert answer.response is None
    assert problem(answer) is ProblemType.STORE_UNAVAILABLE
    assert answer.reason == "stored-later"
    store.fail = 0
    while store.receipts[ID].state is not State.COMPLETED:
        await asyncio.sleep(0.01)
    assert (await guard.once(ACTION, REQUEST)).replayed
    assert execute.sent == 1


async def test_a_client_that_leaves_does_not_stop_the_execution() -> None:
    guard, store, execute = guarded(answered(), held=True)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    first.cancel()
    await asyncio.wait({first})
    execute.go.set()
    assert (await guard.once(ACTION, REQUEST)).replayed
    assert store.receipts[ID].state is State.COMPLETED


async def test_a_fault_of_ours_leaves_no_claim_behind() -> None:
    guard, store, _ = guarded(ValueError("a bug"))
    assert problem(await guard.once(ACTION, REQUEST)) is ProblemType.UPSTREAM_FAILED
    assert store.receipts[ID].state is State.IN_DOUBT


async def test_stopping_finishes_what_is_in_flight() -> None:
    guard, store, execute = guarded(answered(), held=True)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    stop = asyncio.ensure_future(guard.stop(5))
    await asyncio.sleep(0)
    other = replace(ACTION, request_id=RequestId(b"\2" * 32))
    assert problem(await guard.once(other, REQUEST)) is ProblemType.SHUTTING_DOWN
    execute.go.set()
    await stop
    assert (await first).state is State.COMPLETED
    assert store.receipts[ID].state is State.COMPLETED


async def test_stopping_puts_in_doubt_what_does_not_end() -> None:
    guard, store, execute = guarded(answered(), held=True)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    await guard.stop(0)
    assert problem(await first) is ProblemType.SHUTTING_DOWN
    assert store.receipts[ID].state is State.IN_DOUBT


async def test_a_claim_that_is_granted_after_the_stop_is_not_sent() -> None:
    class Slow(SimulatedStore):
        asked, go = asyncio.Event(), asyncio.Event()

        async def claim(self, action: Action) -> Claim | Receipt:
            self.asked.set()
            await self.go.wait()
            return await super().claim(action)

    store, execute = Slow(), Scripted([answered()])
    execute.go.set()
    guard = Guard(store, execute)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await store.asked.wait()
    await guard.stop(0)
    store.go.set()
    assert problem(await first) is ProblemType.SHUTTING_DOWN
    assert execute.sent == 0
    assert store.receipts[ID].state is State.RELEASED


@pytest.mark.parametrize(
    "second", [answered(429), lost(WirePhase.CONNECTING)], ids=["at the door", "refused"]
)
async def test_an_attempt_that_did_nothing_does_not_settle_the_doubt_about_the_one_before(
    second: Attempt,
) -> None:
    guard, store, execute = guarded(lost(WirePhase.SENT), second)
    resent = replace(ACTION, policy=Policy(in_doubt=InDoubt.RESEND, upstream_window=60))
    await guard.once(resent, REQUEST)

    answer = await guard.once(resent, REQUEST)

    assert execute.sent == 2
    assert (answer.attempt, answer.state, answer.reason) == (2, State.IN_DOUBT, "earlier-attempt-in-doubt")
    assert store.receipts[ID].state is State.IN_DOUBT
    # By now the upstream may have forgotten the first one: it is not sent to it as if it were new.
    store.receipts[ID] = replace(store.receipts[ID], first_age=61)
    assert problem(await guard.once(resent, REQUEST)) is ProblemType.OUTCOME_UNKNOWN
    assert execute.sent == 2


async def test_the_end_of_a_superseded_attempt_is_told() -> None:
    guard, store, execute = guarded(answered(), held=True)
    first = asyncio.ensure_future(guard.once(ACTION, REQUEST))
    await execute.started.wait()
    store.tokens[ID] = RequestId(b"\3" * 32)  # type: ignore[assignment]
    execute.go.set()
    assert (await first).reason == "executed-twice"
    assert (ID, "executed-twice") in store.events
