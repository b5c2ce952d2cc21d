"""What becomes of receipts, as it happens, for people who watch.

Most changes are told to nobody, so this looks again and again: at what was claimed since, and at what it has
seen that is not settled. What is older than the beginning is seen only if it was in doubt then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from onceproxy.core.receipts import RequestId
from onceproxy.core.states import State
from onceproxy.guard.ports import StoreUnavailable
from onceproxy.store.catalogue import ReceiptRow
from onceproxy.store.records import Filters, Place, Records
from onceproxy.store.retrying import pauses

EVERY = 1.0  # seconds between two looks
LATE = timedelta(seconds=15)  # that a claim may be older than its commit, and clocks may differ
KEPT = 10_000  # receipts that are remembered
SETTLED = (State.COMPLETED, State.TOMBSTONE, State.ABSENT)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was told of a receipt last."""

    state: State
    attempt: int


async def follow(
    records: Records,
    fits: Callable[[ReceiptRow], bool],
    *,
    every: float = EVERY,
    away: Callable[[bool], None] = lambda _: None,
) -> AsyncGenerator[ReceiptRow]:
    """Yield receipts that fit whenever they are new, or have changed; for ever.

    Args:
        records: where they are.
        fits: which are wanted.
        every: seconds between two looks.
        away: is told when the database stops answering (True), and when it answers again (False).
    """
    seen: dict[RequestId, Seen] = {}
    older: list[RequestId] | None = None
    newest = datetime.now(UTC) - LATE
    pause = pauses(longest=5.0)
    gone = False
    first = True
    while True:
        try:
            if older is None:
                doubts = await records.page(Filters(state=State.IN_DOUBT), None, KEPT // 10)
                older = [row.request_id for row in doubts.receipts]
            unsettled = [one for one, what in seen.items() if what.state not in SETTLED]
            rows = await _look(records, newest, older if first else unsettled)
        except StoreUnavailable:
            if not gone:
                gone = True
                away(True)
            await asyncio.sleep(pause())
            continue
        if gone:
            gone, pause = False, pauses(longest=5.0)
            away(False)
        for row in sorted(rows, key=lambda row: row.changed_at):
            now = Seen(row.state, row.attempt)
            if seen.get(row.request_id) != now:
                seen.pop(row.request_id, None)
                seen[row.request_id] = now  # the last to be forgotten
                # What had settled before somebody began to watch is no news.
                if fits(row) and not (first and row.state in SETTLED):
                    yield row
        while len(seen) > KEPT:
            del seen[next(iter(seen))]
        newest = max([newest, *(row.created_at - LATE for row in rows)])
        first = False
        await asyncio.sleep(every)


async def _look(records: Records, newest: datetime, unsettled: list[RequestId]) -> list[ReceiptRow]:
    found: dict[RequestId, ReceiptRow] = {row.request_id: row for row in await records.these(unsettled)}
    after: Place | None = None
    while True:
        page = await records.page(Filters(since=newest), after, 1000)
        found.update((row.request_id, row) for row in page.receipts)
        after = page.next
        if after is None:
            return list(found.values())
