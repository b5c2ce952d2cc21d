"""Completed receipts in memory. They never change, so a replay needs no look at the database.

Only two things end them: their time, which is known, and an operator's purge, which is heard of. So nothing
is kept while nobody listens: whatever was said meanwhile would be missed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from onceproxy.core.messages import BodyApart
from onceproxy.core.receipts import Action, Receipt
from onceproxy.core.rules import FreshKey
from onceproxy.core.states import State

FRAME = 1024  # bytes, about, that a receipt takes besides its response and what else has no fixed length
# An entry takes at most this part of the limit, so that one large answer can't push all others out.
LARGEST = 8

Found = TypeVar("Found")
Hit = Callable[[], None]


@dataclass(slots=True, eq=False)
class _Look:
    """One look at the database under way. ``stale``: the receipt may have changed since it began."""

    began: float
    stale: bool


@dataclass(slots=True)
class _Entry:
    receipt: Receipt
    seen: float
    size: int
    aged: Receipt | None = None  # as it was told last

    def now(self, clock: float) -> Receipt:
        """Return it as it is at a time of the clock. Ages are told in whole seconds: one serves for each."""
        passed = clock - self.seen
        if self.aged is None or int(self.aged.age) != int(self.receipt.age + passed):
            self.aged = replace(
                self.receipt,
                age=self.receipt.age + passed,
                first_age=self.receipt.first_age + passed,
                expires_in=self.receipt.expires_in - passed,
            )
        return self.aged


class ReceiptCache:
    """Keeps the receipts that were used last, up to ``limit`` bytes; 0 keeps none.

    ``clock`` returns seconds, and runs on while the machine is suspended. ``hit`` is told of each one found.
    """

    def __init__(self, limit: int, clock: Callable[[], float], hit: Hit | None = None) -> None:
        self._limit = limit
        self._hit = hit
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._size = 0
        self._looks: dict[bytes, set[_Look]] = {}
        self._hearing = False

    @property
    def size(self) -> int:
        """Bytes that the entries take, about."""
        return self._size

    def find(self, digest: bytes) -> Receipt | None:
        """Return the receipt as it is now, or None: only the database knows."""
        entry = self._entries.get(digest)
        if entry is not None:
            now = self._clock()
            if now - entry.seen < entry.receipt.expires_in:
                self._entries.move_to_end(digest)
                if self._hit is not None:
                    self._hit()
                return entry.now(now)
            self._remove(digest)
        return None

    def found_by(self, action: Action) -> Receipt | None:
        """Return the receipt of an action, unless others like it have a say: of those the database knows."""
        if action.likeness is not None and action.likeness.treatment is not FreshKey.ALLOW:
            return None
        return self.find(action.request_id.digest)

    async def filled(self, digest: bytes, asked: Awaitable[Found]) -> Found:
        """Ask the database for a receipt, and keep it if it is completed and no news of it came meanwhile."""
        look = _Look(self._clock(), stale=not self._hearing)
        looks = self._looks.setdefault(digest, set())
        looks.add(look)
        try:
            found = await asked
        finally:
            looks.discard(look)
            if not looks:
                self._looks.pop(digest, None)
        if not look.stale and isinstance(found, Receipt) and found.request_id.digest == digest:
            self._keep(found, look.began)
        return found

    def drop(self, digest: bytes) -> None:
        """Forget a receipt that may have changed."""
        self._remove(digest)
        for look in self._looks.get(digest, ()):
            look.stale = True

    def hear(self) -> None:
        """Begin to keep receipts: from now on all news is heard."""
        self._hearing = True

    def deafen(self) -> None:
        """Forget all, and keep nothing: news may be missed from now on."""
        self._hearing = False
        self._entries.clear()
        self._size = 0
        for looks in self._looks.values():
            for look in looks:
                look.stale = True

    def _keep(self, receipt: Receipt, began: float) -> None:
        size = _size_of(receipt)
        if size is None or size > self._limit // LARGEST:
            return
        digest = receipt.request_id.digest
        self._remove(digest)
        # Its time is counted from before the look, so that it ends here no later than in the database.
        self._entries[digest] = _Entry(receipt, began, size)
        self._size += size
        while self._size > self._limit:
            self._remove(next(iter(self._entries)))

    def _remove(self, digest: bytes) -> None:
        entry = self._entries.pop(digest, None)
        if entry is not None:
            self._size -= entry.size


def _size_of(receipt: Receipt) -> int | None:
    """Return the bytes that a receipt takes; None: it is none that can be replayed from memory."""
    response = receipt.response
    if receipt.state is not State.COMPLETED or response is None or not receipt.body_kept:
        return None
    if isinstance(response.body, BodyApart) or receipt.unreadable is not None:
        return None
    lines = sum(len(name) + len(value) for name, value in response.headers)
    told = len(receipt.url) + len(receipt.route) + len(receipt.detail)
    return FRAME + told + lines + response.body.size
