"""What time takes away: responses after their ttl, tombstones and old releases after theirs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from onceproxy.store.connection import Connections

PAGE = 500  # receipts looked at in one transaction
TRY = 30.0  # seconds for one statement
EVERY = 600.0  # seconds between two walks: receipts are kept for hours, and need not go to the minute
BUSY = 0.2  # seconds until a page is tried again that another walk held up
ORPHANED = timedelta(days=2)  # longer than the longest time that an upstream may be given (24 h)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Collected:
    """How many receipts a walk turned into tombstones, how many rows it removed, and how many loose parts."""

    expired: int = 0
    forgotten: int = 0
    parts: int = 0


async def collect(connections: Connections, page: int = PAGE, *, patiently: bool = False) -> Collected:
    """Walk through all receipts once, ``page`` (1 or more) at a time. May run beside anything.

    Where another one walks at the same time, this one ends early, or takes turns with it if ``patiently``.
    Raises what asyncpg raises; what was done until then stays done.
    """
    after, last = _EPOCH, b""
    expired = forgotten = parts = 0
    while True:
        row = await connections.run("collect", after, last, page, timeout=TRY)
        assert row is not None
        if not row["alone"]:
            # A lock of the transaction's and not of the session's: pools between us may share sessions out.
            if not patiently:
                return Collected(expired, forgotten)
            await asyncio.sleep(BUSY)
            continue
        expired += row["expired"]
        forgotten += row["forgotten"]
        if row["created_at"] is None:
            break
        after, last = row["created_at"], row["request_id"]
    while True:
        row = await connections.run("sweep_parts", ORPHANED, page, timeout=TRY)
        assert row is not None
        parts += row["removed"]
        if row["removed"] < page:
            return Collected(expired, forgotten, parts)
