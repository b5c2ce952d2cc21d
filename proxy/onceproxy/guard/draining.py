"""Storing what killed processes left in the spool: at start, and from time to time."""

from __future__ import annotations

import asyncio

import structlog

from onceproxy.core.outcomes import OutcomeKind
from onceproxy.guard.ports import (
    Meter,
    Settled,
    SettlementRefused,
    Spool,
    SpoolUnavailable,
    Store,
    StoreUnavailable,
    Unstored,
)

log = structlog.get_logger("onceproxy.guard")

EVERY = 5.0  # seconds between two looks into the spool: as long as a database may be away at a restart


class Draining:
    """Drains the spool, in a task of its own between ``start`` and ``stop``."""

    def __init__(self, store: Store, spool: Spool, meter: Meter, *, every: float = EVERY) -> None:
        self._store = store
        self._spool = spool
        self._meter = meter
        self._every = every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Drain once, so that copies which come from now on find their receipts, and go on in the background.

        A store that is away does not hold this up for longer than one try.
        """
        await self.run_once()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; what is left stays in the spool."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def run_once(self) -> int:
        """Store what can be stored; return how many records that were."""
        drained = 0
        try:
            async for unstored in self._spool.left_behind():
                drained += await self._drain(unstored)
        except (StoreUnavailable, SpoolUnavailable) as error:
            log.warning("spool-not-drained", error=str(error))
        return drained

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await self.run_once()

    async def _drain(self, unstored: Unstored) -> bool:
        claim = unstored.claim
        try:
            settled = await self._store.settle(claim, unstored.settlement)
        except SettlementRefused as error:
            log.error("receipt-refused", request_id=str(claim.request_id), error=str(error))
            return False
        await self._spool.remove(claim)
        log.warning("receipt-drained", request_id=str(claim.request_id), settled=settled.value)
        if settled is Settled.SUPERSEDED and unstored.settlement.outcome.kind is not OutcomeKind.RELEASED:
            log.error("executed-twice", request_id=str(claim.request_id), attempt=claim.attempt)
            self._meter.executed_twice(unstored.route)
        return True
