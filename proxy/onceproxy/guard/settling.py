"""Storing the end of an attempt, for as long as it takes: a receipt must not be lost.

What the store does not take at once is kept in the spool as well, so that it outlives this process. What the
spool does not take either stays in memory, and until that has found a place no new claim is made: whatever is
sent could end as one more receipt without a home.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import structlog

from onceproxy.core.attempts import Attempt
from onceproxy.core.hygiene import storable
from onceproxy.core.messages import BodyNotKept
from onceproxy.core.outcomes import Outcome
from onceproxy.core.receipts import Action, Claim
from onceproxy.core.redaction import redacted
from onceproxy.crashpoints import reach
from onceproxy.guard.capture import Capture
from onceproxy.guard.ports import (
    Settled,
    Settlement,
    Spool,
    SpoolUnavailable,
    Store,
    StoreUnavailable,
    Unstored,
)

log = structlog.get_logger("onceproxy.guard")

# Between two tries at storing a receipt that the store would not take: doubling, from 50 ms to 2 s.
_FIRST_RETRY = 0.05
_LAST_RETRY = 2.0
# Seconds that the store may take before a receipt goes to the spool: far more than a commit takes, and as
# little as can be lost with a process that is killed meanwhile.
SPOOL_AFTER = 1.0
# Bytes a second of a body: large ones, and many of them at once, take their time although nothing is wrong.
SLOWEST_STORE = 256 * 1024


class Settling:
    """Writes settlements, and does not give up."""

    def __init__(self, store: Store, spool: Spool, *, spool_after: float = SPOOL_AFTER) -> None:
        self._store = store
        self._spool = spool
        self._spool_after = spool_after
        self._open: dict[UUID, Unstored] = {}
        self._spooled: set[UUID] = set()
        self._homeless: set[UUID] = set()

    @property
    def overflows(self) -> bool:
        """Whether a settlement is neither in the store nor in the spool, and both have refused it."""
        return bool(self._homeless)

    async def settle(self, claim: Claim, settlement: Settlement, route: str) -> Settled:
        """Store the end of an attempt; returns when it is durable, however long the store is away."""
        reach("before-completion")
        unstored = self._open[claim.token] = Unstored(claim, settlement, route)
        loop = asyncio.get_running_loop()
        securing: list[asyncio.Task[bool]] = []
        slow = settlement.kept_size / SLOWEST_STORE
        late = loop.call_later(
            self._spool_after + slow, lambda: securing.append(loop.create_task(self._secure(unstored)))
        )
        try:
            try:
                settled = await self._store.settle(claim, settlement)
            except StoreUnavailable as error:
                settled = await self._insist(unstored, error)
            for task in securing:  # it has to be in the spool to be removed from there
                await task
        finally:
            late.cancel()
            for task in securing:
                task.cancel()
            del self._open[claim.token]
            self._homeless.discard(claim.token)
        if claim.token in self._spooled:
            await self._remove(claim)
        reach("after-completion")
        return settled

    async def secure(self) -> bool:
        """Put all that is not stored yet into the spool; return whether nothing is left in memory alone."""
        secured = [await self._secure(unstored) for unstored in list(self._open.values())]
        return all(secured)

    async def _insist(self, unstored: Unstored, error: StoreUnavailable) -> Settled:
        """Settle what the store has not taken at the first try, for ``error``."""
        claim, delay = unstored.claim, _FIRST_RETRY
        while True:
            log.warning("receipt-not-stored-yet", request_id=str(claim.request_id), error=str(error))
            await self._secure(unstored)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_RETRY)
            try:
                return await self._store.settle(claim, unstored.settlement)
            except StoreUnavailable as again:
                error = again

    async def _secure(self, unstored: Unstored) -> bool:
        claim = unstored.claim
        if claim.token in self._spooled:
            return True
        try:
            await self._spool.keep(unstored)
        except SpoolUnavailable as error:
            self._homeless.add(claim.token)
            log.error("receipt-not-spooled", request_id=str(claim.request_id), error=str(error))
            return False
        log.warning("receipt-spooled", request_id=str(claim.request_id))
        self._spooled.add(claim.token)
        self._homeless.discard(claim.token)
        return True

    async def _remove(self, claim: Claim) -> None:
        self._spooled.discard(claim.token)
        try:
            await self._spool.remove(claim)
        except SpoolUnavailable as error:
            # It will be drained, which changes nothing any more.
            log.warning("spooled-record-not-removed", request_id=str(claim.request_id), error=str(error))


def settlement_of(attempt: Attempt, outcome: Outcome, action: Action, receipt_body: int) -> Settlement:
    """Return what is to be stored of an attempt.

    A body over ``receipt_body`` bytes is not kept, nor one of which the route's secrets can't be taken off.
    Nor is one that had no room, as some of it may be gone, or one that was never there as bytes.
    """
    response = attempt.response or attempt.partial
    if response is None:
        return Settlement(outcome, attempt)
    crowded = isinstance(response.body, Capture) and response.body.crowded
    there = not isinstance(response.body, BodyNotKept)
    fits = response.body.size <= receipt_body and there and not crowded
    clean = redacted(response, action.policy.redact) if fits else None
    kept = clean or response
    headers = storable(kept.headers, keep_cookies=action.policy.keep_cookies)
    if action.kept or headers is not kept.headers:
        kept = replace(kept, headers=headers + action.kept)
    if kept is not response:
        partial = attempt.response is None
        attempt = replace(attempt, partial=kept) if partial else replace(attempt, response=kept)
    return Settlement(outcome, attempt, keep_body=clean is not None)
