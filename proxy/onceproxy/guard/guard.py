"""The guard: claim → execute once → store the receipt → answer; and for every later copy, the receipt.

An execution belongs to the process, not to the connection that asked for it: it runs in a task of its own,
and a client that leaves does not cancel it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import structlog

from onceproxy.core.attempts import NOTHING_SENT, Attempt, Failure, WirePhase
from onceproxy.core.decisions import Claimable, Refuse, Replay, Wait, decide, in_progress
from onceproxy.core.hygiene import storable
from onceproxy.core.messages import Request
from onceproxy.core.outcomes import EVENTS, Outcome, OutcomeKind, classify
from onceproxy.core.problems import Problem, ProblemType, upstream_problem
from onceproxy.core.receipts import Action, Claim, Receipt
from onceproxy.core.states import State, advance
from onceproxy.guard.answers import Answer
from onceproxy.guard.ports import Execute, Settled, Settlement, Store, StoreUnavailable

_T = TypeVar("_T")

log = structlog.get_logger("onceproxy.guard")

# Between two tries at storing a receipt that the store would not take: doubling, from 50 ms to 2 s.
_FIRST_RETRY = 0.05
_LAST_RETRY = 2.0


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How patient the guard is.

    ``wait``: seconds a duplicate waits for the copy at work. ``receipt_body``: bytes of a response's body
    that a receipt keeps. ``store_patience``: seconds a client waits for its receipt to be stored before it
    is told that this goes on without it.
    """

    wait: float = 30.0
    receipt_body: int = 16 * 1024 * 1024
    store_patience: float = 30.0


class Guard:
    """Makes each action happen once, over a store and a way to execute."""

    def __init__(
        self,
        store: Store,
        execute: Execute,
        limits: GuardLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._execute = execute
        self._limits = limits or GuardLimits()
        self._clock = clock
        self._executions: set[asyncio.Task[Any]] = set()
        self._draining = False
        self._stopping = asyncio.Event()

    async def once(self, action: Action, request: Request) -> Answer:
        """Answer one copy of ``action``: by sending ``request``, or from what is known of an earlier copy.

        Never raises for what the store or the upstream do: the answer holds the problem.
        """
        try:
            return await self._answer(action, request)
        except StoreUnavailable as error:
            return self._refused(
                action,
                ProblemType.STORE_UNAVAILABLE,
                f"The database of receipts can't be used now ({error}). Nothing was sent for this copy. "
                "Retry later: it is safe.",
            )

    async def stop(self, grace: float) -> None:
        """Take no more claims, let executions end within ``grace`` seconds, then put the rest in doubt."""
        self._draining = True
        if self._executions:
            await asyncio.wait(self._executions, timeout=grace)
        self._stopping.set()
        if self._executions:
            # Only their settlements are left to be written; a store that is down can hold this up no longer.
            await asyncio.wait(self._executions, timeout=self._limits.store_patience)
        for task in self._executions:
            task.cancel()

    async def _answer(self, action: Action, request: Request) -> Answer:
        found = await self._claim(action)
        if isinstance(found, Receipt) and isinstance(decide(action, found), Wait | Claimable):
            found = await self._wait(action, found)
        match found:
            case Claim():
                return await asyncio.shield(self._detach(self._run(action, found, request)))
            case Receipt():
                return self._answer_from(action, found)
            case Answer():
                return found

    async def _claim(self, action: Action) -> Claim | Receipt | Answer:
        if self._draining:
            return self._refused(
                action,
                ProblemType.SHUTTING_DOWN,
                "The proxy is shutting down. Nothing was sent for this copy. Retry later: it is safe.",
            )
        return await self._store.claim(action)

    def _answer_from(self, action: Action, receipt: Receipt) -> Answer:
        match decide(action, receipt):
            case Replay(response=response):
                self._detach(self._note_replay(receipt))
                return Answer(
                    receipt.request_id,
                    receipt.state,
                    receipt.attempt,
                    "replayed",
                    response=response,
                    age=receipt.age,
                    replayed=True,
                )
            case Refuse() as refusal:
                return _refusal(refusal)
            case Wait() | Claimable():
                return _refusal(in_progress(action, receipt))

    async def _wait(self, action: Action, receipt: Receipt) -> Claim | Receipt | Answer:
        """Wait until the copy at work ends, or for as long as a duplicate may wait."""
        deadline = self._clock() + self._limits.wait
        with self._store.watch(action.request_id) as watch:
            while True:
                # Read after the watch began, and after each news: nothing can slip in between unseen.
                current = await self._store.read(action.request_id)
                match decide(action, current):
                    case Claimable():
                        found = await self._claim(action)
                        if not isinstance(found, Receipt):
                            return found
                        receipt = found
                        if not isinstance(decide(action, found), Wait):
                            return found
                    case Wait(receipt=at_work):
                        receipt = at_work
                    case Replay(receipt=known) | Refuse(receipt=known):
                        return known
                left = deadline - self._clock()
                if left <= 0:
                    return receipt
                # An owner that dies sends no news: look again when its lease would have run out.
                await watch.news(min(left, receipt.lease_left + 0.1))

    async def _run(self, action: Action, claim: Claim, request: Request) -> Answer:
        """Send once and store what came of it. Runs to its end whoever listens."""
        attempt = await self._send(claim, request)
        outcome = classify(attempt)
        storing = self._detach(self._settle(claim, _settlement(attempt, outcome, self._limits.receipt_body)))
        done, _ = await asyncio.wait({storing}, timeout=self._limits.store_patience)
        if not done:
            return self._stored_later(action, claim)
        state = advance(State.CLAIMED, EVENTS[outcome.kind])
        reason = outcome.reason
        if storing.result() is Settled.SUPERSEDED:
            reason = "executed-twice" if outcome.kind is not OutcomeKind.RELEASED else "superseded"
            log.error(reason, request_id=str(claim.request_id), attempt=claim.attempt)
        response, problem = attempt.response, None
        if response is None:
            problem = replace(
                upstream_problem(attempt),
                detail=_explain(attempt, outcome, claim),
                request_id=claim.request_id,
                route=action.route,
                attempt=claim.attempt,
            )
        return Answer(
            claim.request_id,
            state,
            claim.attempt,
            reason,
            response=response,
            problem=problem,
            executed=attempt.phase not in NOTHING_SENT,
        )

    async def _send(self, claim: Claim, request: Request) -> Attempt:
        """Send, unless told to stop meanwhile: then nobody can know how far it came."""
        sending = asyncio.ensure_future(self._execute.send(request, partial(self._store.may_send, claim)))
        stopped = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({sending, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not sending.done():
            sending.cancel()
            await asyncio.wait({sending})
        if sending.cancelled():
            return Attempt(
                WirePhase.SENDING,
                failure=Failure.STOPPED,
                detail="the proxy was stopped before the upstream had answered",
            )
        if (error := sending.exception()) is not None:
            # A fault of ours must not leave a claim that nobody owns: how far it came is not known.
            log.error("sending-failed", exc_info=error)
            return Attempt(
                WirePhase.SENDING,
                failure=Failure.CONNECTION_LOST,
                detail="the proxy failed while it was sending",
            )
        return sending.result()

    async def _settle(self, claim: Claim, settlement: Settlement) -> Settled:
        """Store the end of an attempt, for as long as it takes: a receipt must not be lost."""
        delay = _FIRST_RETRY
        while True:
            try:
                return await self._store.settle(claim, settlement)
            except StoreUnavailable as error:
                log.warning("receipt-not-stored-yet", request_id=str(claim.request_id), error=str(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_RETRY)

    async def _note_replay(self, receipt: Receipt) -> None:
        try:
            await self._store.note_replay(receipt.request_id)
        except StoreUnavailable as error:
            log.warning("replay-not-counted", request_id=str(receipt.request_id), error=str(error))

    def _stored_later(self, action: Action, claim: Claim) -> Answer:
        problem = Problem(
            ProblemType.STORE_UNAVAILABLE,
            "The upstream has answered, but the receipt could not be stored yet; the proxy goes on trying. "
            "Retry later: the action will not be sent again.",
            request_id=action.request_id,
            route=action.route,
            attempt=claim.attempt,
            retry_after=5,
        )
        return Answer(
            claim.request_id, State.CLAIMED, claim.attempt, "stored-later", problem=problem, executed=True
        )

    def _refused(self, action: Action, kind: ProblemType, detail: str) -> Answer:
        problem = Problem(kind, detail, request_id=action.request_id, route=action.route, retry_after=1)
        return Answer(action.request_id, None, 0, kind.slug, problem=problem)

    def _detach(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._executions.add(task)
        task.add_done_callback(self._executions.discard)
        return task


def _settlement(attempt: Attempt, outcome: Outcome, receipt_body: int) -> Settlement:
    response = attempt.response
    if response is None:
        return Settlement(outcome, attempt)
    kept = replace(attempt, response=replace(response, headers=storable(response.headers)))
    return Settlement(outcome, kept, keep_body=response.body.size <= receipt_body)


def _refusal(refusal: Refuse) -> Answer:
    receipt = refusal.receipt
    told = refusal.problem.attempt is not None
    return Answer(
        receipt.request_id,
        receipt.state if told else None,
        receipt.attempt if told else 0,
        refusal.problem.type.slug,
        problem=refusal.problem,
        age=receipt.age if told else 0.0,
    )


def _explain(attempt: Attempt, outcome: Outcome, claim: Claim) -> str:
    if outcome.kind is OutcomeKind.RELEASED:
        return f"{attempt.detail}. No byte of the request was sent: it did not happen. Retrying is safe."
    return (
        f"{attempt.detail}. Whether the action took effect is not known, and it will not be sent again. "
        f"Look at the upstream whether it happened; `onceproxy receipts show {claim.request_id}` "
        "shows the evidence."
    )
