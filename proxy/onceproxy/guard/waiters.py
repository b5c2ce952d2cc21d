"""How many copies may wait: for one action, and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from onceproxy.core.limits import Limit
from onceproxy.core.receipts import RequestId


class Waiters:
    """Counts them. ``hit`` is told the limit that one has no room under."""

    def __init__(self, most: int, per_action: int, hit: Callable[[Limit], None]) -> None:
        self._most = most
        self._per_action = per_action
        self._hit = hit
        self._waiting: Counter[RequestId] = Counter()
        self._all = 0

    @contextmanager
    def one(self, request_id: RequestId) -> Iterator[Callable[[], bool]]:
        """Yield what a copy asks before each wait: whether it may. Once it may, it may to the end."""
        entered = False

        def may_wait() -> bool:
            nonlocal entered
            entered = entered or self._enter(request_id)
            return entered

        try:
            yield may_wait
        finally:
            if entered:
                self._leave(request_id)

    def _enter(self, request_id: RequestId) -> bool:
        if self._all >= self._most:
            self._hit(Limit.WAITERS)
            return False
        if self._waiting[request_id] >= self._per_action:
            self._hit(Limit.WAITERS_PER_ACTION)
            return False
        self._all += 1
        self._waiting[request_id] += 1
        return True

    def _leave(self, request_id: RequestId) -> None:
        self._all -= 1
        self._waiting[request_id] -= 1
        if not self._waiting[request_id]:
            del self._waiting[request_id]
