"""Attempts under way: claimed, sent, settled. They belong to the process, not to the client that asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import structlog

from onceproxy.core.attempts import NOTHING_SENT, Attempt, Failure, WirePhase
from onceproxy.core.messages import Request
from onceproxy.core.outcomes import EVENTS, Outcome, OutcomeKind, after_doubt, classify
from onceproxy.core.policies import InDoubt, Mode
from onceproxy.core.problems import Problem, ProblemType, upstream_problem
from onceproxy.core.receipts import Action, Claim
from onceproxy.core.states import State, advance
from onceproxy.guard.answers import Answer
from onceproxy.guard.awaiting import first_of
from onceproxy.guard.places import Granted, Place
from onceproxy.guard.ports import Execute, Meter, Settled, Spool, Store, TellInterim
from onceproxy.guard.settling import SLOWEST_STORE, Settling, settlement_of
from onceproxy.guard.streaming import Stream

_T = TypeVar("_T")

log = structlog.get_logger("onceproxy.guard")

WATCHING = 1.0  # seconds that an answer waits for its receipt in mode observe, which must hold up nobody
LAST_TRY = 3.0  # seconds in which the store may take the settlements of a stop, before they go to the spool


class Executions:
    """Runs attempts to their end whoever listens.

    ``receipt_body``: bytes of a body that a receipt keeps. ``patience``: seconds that a client waits for its
    receipt to be stored before it is told that this goes on without it.
    """

    def __init__(
        self,
        store: Store,
        execute: Execute,
        spool: Spool,
        meter: Meter,
        *,
        receipt_body: int,
        patience: float,
    ) -> None:
        self._store = store
        self._execute = execute
        self._meter = meter
        self._settling = Settling(store, spool)
        self._receipt_body = receipt_body
        self._patience = patience
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sending: set[asyncio.Task[Attempt]] = set()
        self._stopping = asyncio.Event()

    @property
    def overflows(self) -> bool:
        """Whether a receipt is in memory alone, refused by the store and by the spool."""
        return self._settling.overflows

    async def run(
        self, action: Action, granted: Granted, request: Request, interim: TellInterim = None
    ) -> Answer:
        """Send once and store what came of it; an answer that takes its time is a stream.

        Cancelling the call, or leaving the stream, does not stop it.
        """
        claim = granted.claim
        stream = Stream(request, action.policy.outcomes, self._receipt_body, interim)
        begun = Answer(claim.request_id, State.CLAIMED, claim.attempt, "streaming", executed=True)
        return await self._follow(self._run(action, claim, request, stream), stream, begun, granted.place)

    async def run_unguarded(
        self, action: Action, request: Request, begun: Answer, place: Place, interim: TellInterim = None
    ) -> Answer:
        """Send once without a claim, for a mode in which everything is sent; ``begun`` is what is known."""
        stream = Stream(request, action.policy.outcomes, self._receipt_body, interim)
        return await self._follow(self._run_unguarded(action, request, stream, begun), stream, begun, place)

    async def _follow(
        self, work: Coroutine[Any, Any, Answer], stream: Stream, begun: Answer, place: Place
    ) -> Answer:
        """Return what comes of an attempt, or ``begun`` with its stream if that is sooner."""
        running = self.detach(work)
        running.add_done_callback(lambda _: place.give_back())
        try:
            await first_of(running, stream.begun)
        except asyncio.CancelledError:
            stream.leave()
            raise
        if running.done():
            return running.result()
        return replace(begun, response=stream.response, stream=stream.pieces())

    def detach(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run work that outlives the client, and that a stop waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self, grace: float) -> None:
        """Let attempts end within ``grace`` seconds, then put the rest in doubt."""
        await self._end(grace)
        self.hurry()
        # Only settlements are left to be written now. Where the store is down the spool takes them, and else
        # there is nothing left but to wait for it.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_TRY)
        if not await self._settling.secure() and self._tasks:
            await asyncio.wait(self._tasks, timeout=self._patience)
        for task in self._tasks:
            task.cancel()

    def hurry(self) -> None:
        """Put in doubt at once what is in flight."""
        self._stopping.set()
        for sending in self._sending:
            sending.cancel()

    async def _end(self, grace: float) -> None:
        """Wait until all attempts have ended, the time is up, or somebody is in a hurry."""
        if not self._tasks:
            return
        ended = asyncio.ensure_future(asyncio.wait(self._tasks))
        hurried = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({ended, hurried}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        hurried.cancel()

    async def _run(self, action: Action, claim: Claim, request: Request, stream: Stream) -> Answer:
        try:
            attempt = await self._send(action, request, stream, partial(self._store.may_send, claim))
            answer = await self._settle(action, claim, attempt)
            if answer.response is not None:
                stream.finish()
            if stream.begun.done():
                log.info(
                    "stream-ended",
                    request_id=str(claim.request_id),
                    reason=answer.reason,
                    attempt=claim.attempt,
                )
            return answer
        finally:
            stream.cut()

    async def _run_unguarded(self, action: Action, request: Request, stream: Stream, begun: Answer) -> Answer:
        try:
            attempt = await self._send(action, request, stream, _always)
            if attempt.response is not None:
                stream.finish()
            return replace(
                begun,
                response=attempt.response,
                problem=upstream_problem(attempt) if attempt.response is None else None,
                executed=attempt.phase not in NOTHING_SENT,
            )
        finally:
            stream.cut()

    async def _settle(self, action: Action, claim: Claim, attempt: Attempt) -> Answer:
        outcome = classify(attempt, action.policy.outcomes)
        if claim.doubtful:
            outcome = after_doubt(outcome)
        work = partial(settlement_of, attempt, outcome, action, self._receipt_body)
        # Only for taking members off a body is it read here.
        settlement = await asyncio.to_thread(work) if action.policy.redact else work()
        storing = self.detach(self._settling.settle(claim, settlement, action.route))
        slow = settlement.kept_size / SLOWEST_STORE
        watched_only = action.policy.mode is Mode.OBSERVE
        patience = WATCHING if watched_only else self._patience + slow
        await first_of(storing, timeout=patience)
        done = storing.done()
        if not done and not watched_only:
            return _stored_later(action, claim)
        reason = outcome.reason if done else "stored-later"
        if done and storing.result() is Settled.SUPERSEDED:
            reason = self._superseded(action, claim, outcome)
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
            advance(State.CLAIMED, EVENTS[outcome.kind]) if done else State.CLAIMED,
            claim.attempt,
            reason,
            response=response,
            problem=problem,
            executed=attempt.phase not in NOTHING_SENT,
        )

    def _superseded(self, action: Action, claim: Claim, outcome: Outcome) -> str:
        reason = "superseded" if outcome.kind is OutcomeKind.RELEASED else "executed-twice"
        log.error(reason, request_id=str(claim.request_id), attempt=claim.attempt)
        if outcome.kind is not OutcomeKind.RELEASED:
            self._meter.executed_twice(action.route)
        return reason

    async def _send(
        self, action: Action, request: Request, stream: Stream, may_send: Callable[[], bool]
    ) -> Attempt:
        """Send, and keep what has arrived where the response has no end."""
        attempt = await self._sent(action, request, stream, may_send)
        stream.arrived()
        if attempt.response is not None or stream.response is None:
            return attempt
        return replace(
            attempt,
            phase=WirePhase.HEAD_RECEIVED,
            status=stream.response.status,
            partial=stream.response,
        )

    async def _sent(
        self, action: Action, request: Request, stream: Stream, may_send: Callable[[], bool]
    ) -> Attempt:
        """Send, unless told to stop: meanwhile, then nobody can know how far it came, or before."""
        if self._stopping.is_set():
            return Attempt(
                WirePhase.SENT_NOTHING, failure=Failure.STOPPED, detail="the proxy was stopped before it sent"
            )
        # Where the upstream knows copies, one that is lost to a closing connection is simply sent again.
        reuse_idle = None if action.policy.in_doubt is InDoubt.RESEND else action.policy.reuse_idle
        sending = asyncio.ensure_future(
            self._execute.send(
                request,
                may_send,
                reuse_idle=reuse_idle,
                head_arrived=stream.head_arrived,
                interim=stream.interim_arrived,
            )
        )
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        await first_of(sending)
        if sending.cancelled():
            return Attempt(
                WirePhase.SENDING,
                failure=Failure.STOPPED,
                detail="the proxy was stopped before the whole answer of the upstream was there",
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


def _always() -> bool:
    return True


def _stored_later(action: Action, claim: Claim) -> Answer:
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


def _explain(attempt: Attempt, outcome: Outcome, claim: Claim) -> str:
    if outcome.kind is OutcomeKind.RELEASED:
        return f"{attempt.detail}. No byte of the request was sent: it did not happen. Retrying is safe."
    return (
        f"{attempt.detail}. Whether the action took effect is not known, and it will not be sent again. "
        f"Look at the upstream whether it happened; `onceproxy receipts show {claim.request_id}` "
        "shows the evidence."
    )
