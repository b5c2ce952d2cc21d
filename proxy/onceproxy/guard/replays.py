"""Answers from receipts: with all of the response or not at all, and counted in the audit trail."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import structlog

from onceproxy.core.decisions import Refuse, Replay, damaged, unreadable
from onceproxy.core.hygiene import replayable
from onceproxy.core.messages import BodyApart, Response
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action, Receipt, RequestId
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer, not_sent, refusal, replayed
from onceproxy.guard.executions import Executions
from onceproxy.guard.ports import Meter, Store, StoreUnavailable, Unreadable

log = structlog.get_logger("onceproxy.guard")

PAUSE = 0.25  # seconds between two writings of counts, so that many copies of one action make one entry


class Replays:
    """Answers copies from receipts, and notes it in the background: a count is not worth a client's wait."""

    def __init__(self, store: Store, executions: Executions, meter: Meter) -> None:
        self._store = store
        self._meter = meter
        self._executions = executions
        self._counts: Counter[RequestId] = Counter()
        self._writing = False  # or waiting for its time
        self._hurried = False
        self._timer: asyncio.TimerHandle | None = None

    async def answer(self, action: Action, decision: Replay) -> Answer:
        """Answer a copy of ``action`` from its receipt, a large body loaded. Raises ``StoreUnavailable``."""
        receipt, response = decision.receipt, decision.response
        if not replayable(response, action.method):
            log.error("receipt-damaged", request_id=str(action.request_id), attempt=receipt.attempt)
            return refusal(damaged(action, receipt))
        if isinstance(response.body, BodyApart):
            try:
                body = await self._store.load(receipt)
            except Unreadable as error:
                return self.refused(action, unreadable(action, receipt, str(error)))
            if body is None:
                return await self._without_body(action, receipt)
            response = replace(response, body=body)
        self._count(action.request_id)
        return replayed(receipt, response)

    def at_once(self, action: Action, decision: Replay, sound: Response | None = None) -> Answer | None:
        """Answer as ``answer`` does, if all of it is in memory. ``sound``: what was looked at before."""
        response = decision.response
        if response is not sound and (
            isinstance(response.body, BodyApart) or not replayable(response, action.method)
        ):
            return None
        self._count(action.request_id)
        return replayed(decision.receipt, response)

    def hurry(self) -> None:
        """Write what was counted at once."""
        self._hurried = True
        if self._timer is not None:
            self._timer.cancel()
            self._next()

    def refused(self, action: Action, decision: Refuse) -> Answer:
        """Answer a copy of ``action`` with a refusal; what somebody has to look after is told and counted."""
        if decision.problem.type is ProblemType.UNREADABLE:
            log.error(
                "receipt-unreadable",
                request_id=str(action.request_id),
                attempt=decision.receipt.attempt,
                route=action.route,
                hint="put the key back into encryption.keys, or restore the row from a backup",
            )
            self._meter.unreadable(action.route)
        return refusal(decision)

    async def _without_body(self, action: Action, receipt: Receipt) -> Answer:
        current = await self._store.read(action.request_id)
        if current is None or (current.state, current.attempt) != (State.COMPLETED, receipt.attempt):
            # Its time was up, or somebody purged it, while it was being read.
            return not_sent(
                action,
                ProblemType.STORE_UNAVAILABLE,
                "The receipt was removed while it was being read. Nothing was sent for this copy. "
                "Retry: the answer will be the one that a copy without this receipt gets.",
            )
        log.error("receipt-damaged", request_id=str(action.request_id), attempt=receipt.attempt)
        return refusal(damaged(action, receipt))

    def _count(self, request_id: RequestId) -> None:
        """Note one answer: one entry stands for all that come while the ones before are being written."""
        self._counts[request_id] += 1
        if not self._writing:
            self._writing = True
            self._next()

    def _next(self) -> None:
        self._timer = None
        if self._counts:
            self._executions.detach(self._write())
        else:
            self._writing = False

    async def _write(self) -> None:
        try:
            while self._counts:
                counts, self._counts = self._counts, Counter()
                await self._store.note_replays(counts)
                if not self._hurried:
                    break
        except StoreUnavailable as error:
            log.warning("replays-not-counted", actions=len(counts), error=str(error))
        finally:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._next)
