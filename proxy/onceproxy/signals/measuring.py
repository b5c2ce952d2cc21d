"""The guard's ports, measured: each call is passed on as it is, and timed.

Errors of the store are counted where the guard meets them, after all that the store itself has tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from onceproxy.core.attempts import Attempt
from onceproxy.core.messages import Body, Request, Response
from onceproxy.core.receipts import Action, Claim, Receipt, RequestId
from onceproxy.guard.ports import (
    Execute,
    Note,
    Resolution,
    Settled,
    Settlement,
    Store,
    StoreUnavailable,
    TellInterim,
    Watch,
)
from onceproxy.signals.journey import CLAIM, COMPLETE, UPSTREAM, Stage, current
from onceproxy.signals.ports import Recorder


class MeasuredStore:
    """A store whose claims and settlements are timed, and whose errors are counted."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder
        self.may_send: Callable[[Claim], bool] = store.may_send
        self.at_hand: Callable[[Action], Receipt | None] = store.at_hand
        self.watch: Callable[[RequestId], AbstractContextManager[Watch]] = store.watch

    async def claim(self, action: Action) -> Claim | Receipt:
        """Claim an action, or return the receipt that stands in the way."""
        try:
            with Stage(CLAIM, current()) as stage:
                found = await self._store.claim(action)
        except StoreUnavailable:
            self._recorder.store_error("claim")
            raise
        self._recorder.claim_took(stage.seconds)
        return found

    async def settle(self, claim: Claim, settlement: Settlement) -> Settled:
        """Write the end of an attempt durably."""
        journey = current()
        try:
            with Stage(COMPLETE, journey) as stage:
                settled = await self._store.settle(claim, settlement)
                if stage.span is not None:
                    stage.span.set("onceproxy.outcome", settlement.outcome.kind.value)
        except StoreUnavailable:
            self._recorder.store_error("settle")
            raise
        self._recorder.complete_took(stage.seconds)
        self._recorder.attempt(journey.route if journey is not None else "", settlement.outcome.kind.value)
        return settled

    async def read(self, request_id: RequestId) -> Receipt | None:
        """Return the receipt, if there is one."""
        try:
            return await self._store.read(request_id)
        except StoreUnavailable:
            self._recorder.store_error("read")
            raise

    async def load(self, receipt: Receipt) -> Body | None:
        """Return the body of a receipt that is kept apart."""
        try:
            return await self._store.load(receipt)
        except StoreUnavailable:
            self._recorder.store_error("load")
            raise

    async def resolve(self, request_id: RequestId, attempt: int, resolution: Resolution) -> bool:
        """Settle the doubt about an attempt durably."""
        try:
            return await self._store.resolve(request_id, attempt, resolution)
        except StoreUnavailable:
            self._recorder.store_error("resolve")
            raise

    async def note(self, request_id: RequestId, note: Note, reason: str = "") -> None:
        """Write an entry that changes no state."""
        try:
            await self._store.note(request_id, note, reason)
        except StoreUnavailable:
            self._recorder.store_error("note")
            raise

    async def note_replays(self, copies: Mapping[RequestId, int]) -> None:
        """Write an entry for each of these actions."""
        try:
            await self._store.note_replays(copies)
        except StoreUnavailable:
            self._recorder.store_error("note")
            raise


class MeasuredExecute:
    """The guarded way out, timed; where there is a trace, the upstream is told of it."""

    def __init__(self, execute: Execute, recorder: Recorder) -> None:
        self._execute = execute
        self._recorder = recorder

    async def send(
        self,
        request: Request,
        may_send: Callable[[], bool],
        *,
        reuse_idle: float | None = None,
        head_arrived: Callable[[Response], None] | None = None,
        interim: TellInterim = None,
    ) -> Attempt:
        """Send ``request`` and receive the whole response."""
        journey = current()
        with Stage(UPSTREAM, journey) as stage:
            attempt = await self._execute.send(
                stage.traced(request),
                may_send,
                reuse_idle=reuse_idle,
                head_arrived=head_arrived,
                interim=interim,
            )
            if stage.span is not None:
                stage.span.set("http.response.status_code", attempt.status)
                stage.span.set("onceproxy.phase", attempt.phase.value)
                if attempt.failure is not None:
                    stage.span.failed(attempt.failure.value)
        self._recorder.upstream_took(journey.route if journey is not None else "", stage.seconds)
        return attempt
