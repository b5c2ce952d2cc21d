"""Places for attempts: so many at once, and a queue in order of arrival for those who find none.

A place is taken before anything is claimed, so that who gets none leaves nothing behind, and it is given back
when the attempt has ended. One user can have only a share of the places, and as many again in the queue:
the others find room however many requests that one sends.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

from onceproxy.core.limits import Limit, OverLimit
from onceproxy.core.receipts import Claim


class Place:
    """The right to one attempt, until it is given back."""

    __slots__ = ("_places", "_user")

    def __init__(self, places: Places, user: str | None) -> None:
        self._places: Places | None = places
        self._user = user

    def give_back(self) -> None:
        """Let the next one have it. May be repeated."""
        places, self._places = self._places, None
        if places is not None:
            places._given_back(self._user)


@dataclass(frozen=True, slots=True)
class Granted:
    """A claim, and the place that its attempt has."""

    claim: Claim
    place: Place


@dataclass(eq=False, slots=True)
class _Waiting:
    user: str | None
    granted: asyncio.Future[Place]


class Places:
    """``most`` attempts at once, and ``queue`` requests that wait for one, ``patience`` seconds at most.

    ``per_user``: how many of either one user may have; who is no user is not counted.
    """

    def __init__(self, most: int, queue: int, per_user: int, patience: float) -> None:
        self._most = most
        self._queue_size = queue
        self._per_user = per_user
        self._patience = patience
        self._taken = 0
        self._queue: deque[_Waiting] = deque()
        self._running: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._closed = False

    @property
    def taken(self) -> int:
        """How many are taken."""
        return self._taken

    @property
    def queued(self) -> int:
        """How many wait for one."""
        return len(self._queue)

    def take_free(self, user: str | None) -> Place | None:
        """Return a place if there is one that ``user`` may have; None: it has to be waited for."""
        return self._grant(user) if self._free_for(user) else None

    async def take(self, user: str | None) -> Place:
        """Return a place, as soon as there is one.

        Raises:
            OverLimit: the queue is full, or this user's share of it, or the time is up.
        """
        if (place := self.take_free(user)) is not None:
            return place
        if self._closed:
            raise _too_many(Limit.QUEUE, "The proxy is shutting down.")
        if user is not None and self._waiting[user] >= self._per_user:
            raise _too_many(
                Limit.EXECUTIONS_PER_USER, "This user has as many requests under way and waiting as one may."
            )
        if len(self._queue) >= self._queue_size:
            reached = Limit.QUEUE if self._queue_size else Limit.EXECUTIONS
            raise _too_many(reached, "As many requests as may be are under way, and the queue is full.")
        return await self._wait(user)

    def close(self) -> None:
        """Let nobody wait any more: those in the queue are refused."""
        self._closed = True
        for one in list(self._queue):
            self._drop(one)
            if not one.granted.done():
                one.granted.set_exception(_too_many(Limit.QUEUE, "The proxy is shutting down."))

    async def _wait(self, user: str | None) -> Place:
        loop = asyncio.get_running_loop()
        one = _Waiting(user, loop.create_future())
        self._queue.append(one)
        if user is not None:
            self._waiting[user] += 1
        timer = loop.call_later(self._patience, self._give_up, one)
        try:
            return await one.granted
        except asyncio.CancelledError:
            if not one.granted.cancelled() and one.granted.done() and one.granted.exception() is None:
                one.granted.result().give_back()  # granted in the same moment
            else:
                self._drop(one)
            raise
        finally:
            timer.cancel()

    def _give_up(self, one: _Waiting) -> None:
        if one.granted.done():
            return
        self._drop(one)
        waited = (
            f"As many requests as may be are under way, and {self._patience:g} s in the queue were too few."
        )
        one.granted.set_exception(_too_many(Limit.QUEUE_TIMEOUT, waited))

    def _drop(self, one: _Waiting) -> None:
        if one in self._queue:
            self._queue.remove(one)
            _less(self._waiting, one.user)

    def _free_for(self, user: str | None) -> bool:
        return self._taken < self._most and (user is None or self._running[user] < self._per_user)

    def _grant(self, user: str | None) -> Place:
        self._taken += 1
        if user is not None:
            self._running[user] += 1
        return Place(self, user)

    def _given_back(self, user: str | None) -> None:
        self._taken -= 1
        _less(self._running, user)
        # The first that may: those of a user who has all of his share let others pass.
        for one in self._queue:
            if not one.granted.done() and self._free_for(one.user):
                self._drop(one)
                one.granted.set_result(self._grant(one.user))
                return


def _less(counts: Counter[str], user: str | None) -> None:
    """Count one less; who has none is forgotten, as names come without end."""
    if user is None:
        return
    counts[user] -= 1
    if counts[user] <= 0:
        del counts[user]


def _too_many(limit: Limit, why: str) -> OverLimit:
    return OverLimit(limit, f"{why} Nothing was sent. Retry later: it is safe (limits.{limit}).")
