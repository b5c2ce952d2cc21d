"""What others are to be told of: taken by one instance at a time, and kept until it was told or given up.

Nothing is locked while it is told, which may take long. Whoever takes a notice has it for a while; should it
die, the notice is due again. So each is told at least once, and twice only where its teller died, or was too
slow.
"""

from __future__ import annotations

from datetime import timedelta

from onceproxy.core.notices import GIVE_UP, Notice, NoticeKind, Taken
from onceproxy.core.receipts import RequestId
from onceproxy.store.connection import Connections

TRY = 5.0  # seconds for one statement
TAKEN = timedelta(seconds=60)  # longer than telling takes, so that no other one tells it at the same time
TOLD_KEPT = timedelta(
    seconds=2 * GIVE_UP
)  # what nobody had to be told goes when nobody would tell it any more
FAILED_KEPT = timedelta(days=30)
PAGE = 1000  # rows removed in one transaction


class Outbox:
    """The notices of a database. Each verb raises what asyncpg raises."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def take(self, kinds: frozenset[NoticeKind]) -> Taken | None:
        """Take the notice of these kinds that is due first, if there is one; it is ours for a minute."""
        names = sorted(kind.value for kind in kinds)
        row = await self._connections.run("take_notice", names, TAKEN, timeout=TRY)
        if row is None:
            return None
        notice = Notice(
            request_id=RequestId(row["request_id"]),
            event_id=row["event_id"],
            kind=NoticeKind(row["kind"]),
            at=row["at"],
            attempt=row["attempt"],
            state=row["state"],
            phase=row["phase"],
            reason=row["reason"],
            route=row["route"],
            method=row["method"],
            url=row["url"],
            first_attempt_at=row["created_at"],
        )
        return Taken(notice, row["tries"], frozenset(row["told"]), row["age"])

    async def told(self, taken: Taken, told: frozenset[bytes]) -> None:
        """Say that all who had to be told are."""
        await self._write(taken, told, None, failed=False)

    async def put_off(self, taken: Taken, told: frozenset[bytes], pause: float) -> None:
        """Let it be due again after ``pause`` seconds, for those who are not among the ``told``."""
        await self._write(taken, told, timedelta(seconds=pause), failed=False)

    async def give_up(self, taken: Taken, told: frozenset[bytes]) -> None:
        """Keep it as one that could not be told to all."""
        await self._write(taken, told, None, failed=True)

    async def _write(
        self, taken: Taken, told: frozenset[bytes], due_in: timedelta | None, *, failed: bool
    ) -> None:
        notice = taken.notice
        await self._connections.run(
            "notice_told",
            notice.request_id.digest,
            notice.event_id,
            taken.tries,
            sorted(told),
            due_in,
            failed,
            timeout=TRY,
        )


async def forget_notices(connections: Connections) -> int:
    """Remove notices that are of no use any more; return how many they were. Raises what asyncpg raises."""
    removed = 0
    while True:
        row = await connections.run("forget_notices", TOLD_KEPT, FAILED_KEPT, PAGE, timeout=TRY)
        assert row is not None
        removed += int(row["removed"])
        if row["removed"] < PAGE:
            return removed
