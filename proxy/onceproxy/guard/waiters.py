"""How many copies may wait: for one action, and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from onceproxy.core.limits import Limit
from onceproxy.core.receipts import RequestId


class Waiters:
    """Counts them. ``hit`` is told the limit that one has no room under.

    One user leaves room for as many as may wait for an action, or for half of all: the others' copies can
    wait, however many that one sends. Who is no user is not counted.
    """

    def __init__(self, most: int, per_action: int, hit: Callable[[Limit], None]) -> None:
        self._most = most
        self._per_action = per_action
        self._per_user = max(most - per_action, most // 2, 1)
        self._hit = hit
        self._waiting: Counter[RequestId] = Counter()
        self._of_users: Counter[str] = Counter()
        self._all = 0

    @contextmanager
    def one(self, request_id: RequestId, user: str | None) -> Iterator[Callable[[], bool]]:
        """Yield what a copy asks before each wait: whether it may. Once it may, it may to the end."""
        entered = False

        def may_wait() -> bool:
            nonlocal entered
            entered = entered or self._enter(request_id, user)
            return entered

        try:
            yield may_wait
        finally:
            if entered:
                self._leave(request_id, user)

    def _enter(self, request_id: RequestId, user: str | None) -> bool:
        if self._all >= self._most or (user is not None and self._of_users[user] >= self._per_user):
            self._hit(Limit.WAITERS)
            return False
        if self._waiting[request_id] >= self._per_action:
            self._hit(Limit.WAITERS_PER_ACTION)
            return False
        self._all += 1
        self._waiting[request_id] += 1
        if user is not None:
            self._of_users[user] += 1
        return True

    def _leave(self, request_id: RequestId, user: str | None) -> None:
        self._all -= 1
        self._waiting[request_id] -= 1
        if not self._waiting[request_id]:
            del self._waiting[request_id]
        if user is not None:
            self._of_users[user] -= 1
            if not self._of_users[user]:
                del self._of_users[user]
