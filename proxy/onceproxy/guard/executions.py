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
from onceproxy.core.problems import upstream_problem
from onceproxy.core.receipts import Action, Claim
from onceproxy.core.states import State, advance
from onceproxy.guard.answers import Answer
from onceproxy.guard.concluding import answer_of, stored_later, tell
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
        self._sending: set[asyncio.Task[Any]] = set()  # that hurry has not cancelled
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
        claim, place = granted.claim, granted.place
        stream = Stream(request, action.policy.outcomes, self._receipt_body, interim)
        told = await self._follow(self._run(action, claim, request, stream, place), stream, place)
        if told is not None:
            return told
        return Answer(
            claim.request_id,
            State.CLAIMED,
            claim.attempt,
            "streaming",
            response=stream.response,
            executed=True,
            stream=stream.pieces(),
        )

    async def run_unguarded(
        self, action: Action, request: Request, begun: Answer, place: Place, interim: TellInterim = None
    ) -> Answer:
        """Send once without a claim, for a mode in which everything is sent; ``begun`` is what is known."""
        stream = Stream(request, action.policy.outcomes, self._receipt_body, interim)
        work = self._run_unguarded(action, request, stream, begun, place)
        told = await self._follow(work, stream, place)
        return told or replace(begun, response=stream.response, stream=stream.pieces())

    async def _follow(self, work: Coroutine[Any, Any, None], stream: Stream, place: Place) -> Answer | None:
        """Return what comes of an attempt; None: its client gets the stream, which has begun before that."""

        def ended(running: asyncio.Task[None]) -> None:
            place.give_back()
            stream.ended(running)

        # One future for the client and one task for the attempt: each more would be a wake-up more.
        self.detach(work).add_done_callback(ended)
        try:
            return await stream.told
        except asyncio.CancelledError:
            stream.leave()
            raise

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
        sending, self._sending = self._sending, set()
        for attempt in sending:
            attempt.cancel()

    async def _end(self, grace: float) -> None:
        """Wait until all attempts have ended, the time is up, or somebody is in a hurry."""
        if not self._tasks:
            return
        ended = asyncio.ensure_future(asyncio.wait(self._tasks))
        hurried = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({ended, hurried}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        hurried.cancel()

    async def _run(
        self, action: Action, claim: Claim, request: Request, stream: Stream, place: Place
    ) -> None:
        try:
            attempt = await self._send(action, request, stream, partial(self._store.may_send, claim))
            if stream.begun:
                await asyncio.sleep(0)  # its client has all that has arrived before a settlement can fail
            answer = await self._settle(action, claim, attempt, stream, place)
            if answer.response is not None:
                stream.finish()
        finally:
            stream.cut()
        place.give_back()
        tell(stream, claim, answer)

    async def _run_unguarded(
        self, action: Action, request: Request, stream: Stream, begun: Answer, place: Place
    ) -> None:
        try:
            attempt = await self._send(action, request, stream, _always)
            if attempt.response is not None:
                stream.finish()
        finally:
            stream.cut()
        place.give_back()
        stream.tell(
            replace(
                begun,
                response=attempt.response,
                problem=upstream_problem(attempt) if attempt.response is None else None,
                executed=attempt.phase not in NOTHING_SENT,
            )
        )

    async def _settle(
        self, action: Action, claim: Claim, attempt: Attempt, stream: Stream, place: Place
    ) -> Answer:
        outcome = classify(attempt, action.policy.outcomes)
        if claim.doubtful:
            outcome = after_doubt(outcome)
        work = partial(settlement_of, attempt, outcome, action, self._receipt_body)
        # Only for taking members off a body is it read here.
        settlement = await asyncio.to_thread(work) if action.policy.redact else work()

        def late() -> None:
            """Let the client go, and the place; the settlement goes on for as long as it takes."""
            place.give_back()
            if action.policy.mode is Mode.OBSERVE:
                if attempt.response is not None:
                    stream.finish()
                answer = answer_of(action, claim, attempt, outcome, "stored-later", State.CLAIMED)
            else:
                answer = stored_later(action, claim)
            stream.cut()
            tell(stream, claim, answer)

        observed = action.policy.mode is Mode.OBSERVE
        patience = WATCHING if observed else self._patience + settlement.kept_size / SLOWEST_STORE
        timer = asyncio.get_running_loop().call_later(patience, late)
        try:
            settled = await self._settling.settle(claim, settlement, action.route)
        finally:
            timer.cancel()
        reason = outcome.reason
        if settled is Settled.SUPERSEDED:
            reason = self._superseded(action, claim, outcome)
        state = advance(State.CLAIMED, EVENTS[outcome.kind])
        return answer_of(action, claim, attempt, outcome, reason, state)

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
        attempt = asyncio.current_task()
        assert attempt is not None
        self._sending.add(attempt)
        try:
            return await self._execute.send(
                request,
                may_send,
                reuse_idle=reuse_idle,
                head_arrived=stream.head_arrived,
                interim=stream.interim_arrived,
            )
        except asyncio.CancelledError:
            if attempt not in self._sending:
                attempt.uncancel()  # it was for the sending alone: what came of it is still to be settled
            if attempt.cancelling():
                raise
            return Attempt(
                WirePhase.SENDING,
                failure=Failure.STOPPED,
                detail="the proxy was stopped before the whole answer of the upstream was there",
            )
        except Exception as error:
            # A fault of ours must not leave a claim that nobody owns: how far it came is not known.
            log.error("sending-failed", exc_info=error)
            return Attempt(
                WirePhase.SENDING,
                failure=Failure.CONNECTION_LOST,
                detail="the proxy failed while it was sending",
            )
        finally:
            self._sending.discard(attempt)


def _always() -> bool:
    return True
