"""Answers from receipts: with all of the response or not at all, and counted in the audit trail."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import structlog

from onceproxy.core.decisions import Refuse, Replay, damaged, unreadable
from onceproxy.core.hygiene import replayable
from onceproxy.core.messages import BodyApart
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action, Receipt, RequestId
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer, not_sent, refusal, replayed
from onceproxy.guard.executions import Executions
from onceproxy.guard.ports import Meter, Note, Store, StoreUnavailable, Unreadable

log = structlog.get_logger("onceproxy.guard")


class Replays:
    """Answers copies from receipts, and notes it in the background: a count is not worth a client's wait."""

    def __init__(self, store: Store, executions: Executions, meter: Meter) -> None:
        self._store = store
        self._meter = meter
        self._executions = executions
        self._counts: Counter[RequestId] = Counter()
        self._writing: set[RequestId] = set()

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
        """Note one answer: one entry stands for all that come while the one before is being written."""
        self._counts[request_id] += 1
        if request_id not in self._writing:
            self._writing.add(request_id)
            self._executions.detach(self._write(request_id))

    async def _write(self, request_id: RequestId) -> None:
        try:
            while count := self._counts.pop(request_id, 0):
                await self._store.note(request_id, Note.REPLAYED, f"{count} copies" if count > 1 else "")
        except StoreUnavailable as error:
            log.warning("replay-not-counted", request_id=str(request_id), error=str(error))
        finally:
            self._writing.discard(request_id)
