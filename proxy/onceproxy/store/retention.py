"""What time takes away: responses after their ttl, tombstones and old releases after theirs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from onceproxy.store.connection import Connections
from onceproxy.store.leases import boottime

PAGE = 500  # receipts looked at in one transaction
TRY = 30.0  # seconds for one statement
EVERY = 600.0  # seconds between two walks: receipts are kept for hours, and need not go to the minute
BUSY = 0.2  # seconds until a page is tried again that another walk held up
ORPHANED = timedelta(days=2)  # longer than the longest time that an upstream may be given (24 h)


@dataclass(frozen=True, slots=True)
class Collected:
    """How many receipts a walk turned into tombstones, how many rows it removed, and how many loose parts."""

    expired: int = 0
    forgotten: int = 0
    parts: int = 0


Place = tuple[datetime, bytes]
"""Where a walk is: created_at and request_id of a receipt."""

_BEGIN: Place = (datetime(1970, 1, 1, tzinfo=UTC), b"")
_END: Place = (datetime(9999, 1, 1, tzinfo=UTC), b"")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Receipts from where the stretch before ends up to a place: none can be due before ``due``."""

    until: Place
    due: float


class Memory:
    """What earlier walks have seen, so that later ones need not look where nothing can be due.

    Nothing becomes due sooner than it was seen to be, and what is new is at the end of the table. ``clock``
    gives seconds, and must not stop while the machine is suspended.
    """

    def __init__(self, clock: Callable[[], float] = boottime) -> None:
        self.clock = clock
        self.stretches: list[Stretch] = []


async def collect(
    connections: Connections,
    page: int = PAGE,
    *,
    patiently: bool = False,
    memory: Memory | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Collected:
    """Walk through all receipts once, ``page`` (1 or more) at a time. May run beside anything.

    Where another one walks at the same time, this one ends early, or takes turns with it if ``patiently``.
    With a ``memory`` it passes over what can't be due. ``told`` is called after each page with about how many
    receipts were looked at so far. Raises what asyncpg raises; what was done until then
    stays done.
    """
    memory = memory or Memory()
    expired = forgotten = parts = looked = 0
    after, seen, ahead = _BEGIN, list[Stretch](), deque(memory.stretches)
    while True:
        if ahead and ahead[0].due > memory.clock():
            seen.append(ahead.popleft())
            after = seen[-1].until
            continue
        until = ahead[0].until if ahead else _END
        row = await connections.run("collect", *after, *until, page, timeout=TRY)
        assert row is not None
        if not row["alone"]:
            # A lock of the transaction's and not of the session's: pools between us may share sessions out.
            if not patiently:
                return Collected(expired, forgotten)
            await asyncio.sleep(BUSY)
            continue
        expired += row["expired"]
        forgotten += row["forgotten"]
        if row["created_at"] is not None:
            told(looked := looked + page)
            after = (row["created_at"], row["request_id"])
            if row["old"] and row["due_in"] is not None:
                seen.append(Stretch(after, memory.clock() + row["due_in"]))
        elif ahead:
            after = ahead.popleft().until
        else:
            break
    memory.stretches = seen
    while True:
        row = await connections.run("sweep_parts", ORPHANED, page, timeout=TRY)
        assert row is not None
        parts += row["removed"]
        if row["removed"] < page:
            return Collected(expired, forgotten, parts)
