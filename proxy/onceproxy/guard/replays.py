"""Counting answers from receipts in the audit trail: one entry for all copies that came close together."""

from __future__ import annotations

from collections import Counter

import structlog

from onceproxy.core.receipts import RequestId
from onceproxy.guard.executions import Executions
from onceproxy.guard.ports import Note, Store, StoreUnavailable

log = structlog.get_logger("onceproxy.guard")


class Replays:
    """Notes replays in the background; a count is not worth a client's wait."""

    def __init__(self, store: Store, executions: Executions) -> None:
        self._store = store
        self._executions = executions
        self._counts: Counter[RequestId] = Counter()
        self._writing: set[RequestId] = set()

    def count(self, request_id: RequestId) -> None:
        """Count one answer."""
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
