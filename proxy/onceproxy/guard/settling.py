"""Storing the end of an attempt, for as long as it takes: a receipt must not be lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from onceproxy.core.attempts import Attempt
from onceproxy.core.hygiene import storable
from onceproxy.core.outcomes import Outcome
from onceproxy.core.policies import Policy
from onceproxy.core.receipts import Claim
from onceproxy.crashpoints import reach
from onceproxy.guard.ports import Settled, Settlement, Store, StoreUnavailable

log = structlog.get_logger("onceproxy.guard")

# Between two tries at storing a receipt that the store would not take: doubling, from 50 ms to 2 s.
_FIRST_RETRY = 0.05
_LAST_RETRY = 2.0


class Settling:
    """Writes settlements, and does not give up."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def settle(self, claim: Claim, settlement: Settlement) -> Settled:
        """Store the end of an attempt; returns when it is durable, however long the store is away."""
        reach("before-completion")
        delay = _FIRST_RETRY
        while True:
            try:
                settled = await self._store.settle(claim, settlement)
            except StoreUnavailable as error:
                log.warning("receipt-not-stored-yet", request_id=str(claim.request_id), error=str(error))
            else:
                reach("after-completion")
                return settled
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_RETRY)


def settlement_of(attempt: Attempt, outcome: Outcome, policy: Policy, receipt_body: int) -> Settlement:
    """Return what is to be stored of an attempt; a body over ``receipt_body`` bytes is not kept."""
    response = attempt.response
    if response is None:
        return Settlement(outcome, attempt)
    headers = storable(response.headers, keep_cookies=policy.keep_cookies)
    kept = replace(attempt, response=replace(response, headers=headers))
    return Settlement(outcome, kept, keep_body=response.body.size <= receipt_body)
