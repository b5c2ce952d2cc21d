"""Modes ``observe`` and ``off``: everything is sent; ``observe`` records what the guard would have done.

For a team that looks before it leaps. Receipts are claimed and settled as ever, so the record is real; only
nobody is refused, kept waiting or answered from them. Nor does anybody go without an answer because the store
is away: the copy is sent all the same, and nothing is known of it afterwards.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from onceproxy.core.decisions import Ask, Claimable, Refuse, Replay, Resend, Wait, decide
from onceproxy.core.messages import Request
from onceproxy.core.policies import Mode
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action, Receipt
from onceproxy.core.rules import FreshKey
from onceproxy.guard.answers import Answer
from onceproxy.guard.executions import WATCHING, Executions
from onceproxy.guard.places import Granted, Places
from onceproxy.guard.ports import Meter, Note, Store, StoreUnavailable, TellInterim

log = structlog.get_logger("onceproxy.guard")

NOT_OBSERVED = "store-unavailable"


class Watcher:
    """Sends copies whatever is known of their action, and records what would have become of them."""

    def __init__(self, store: Store, executions: Executions, places: Places, meter: Meter) -> None:
        self._store = store
        self._executions = executions
        self._places = places
        self._meter = meter

    async def once(self, action: Action, request: Request, interim: TellInterim = None) -> Answer:
        """Send one copy. Raises ``OverLimit`` where there is no place for it."""
        if action.policy.mode is Mode.OFF:
            return await self._send(action, request, None, "off", interim)
        asked = action.likeness
        if asked is not None and asked.treatment is FreshKey.HOLD:
            action = replace(action, likeness=replace(asked, treatment=FreshKey.WARN))
        found = await self._claim(action)
        if isinstance(found, Granted):
            if found.claim.like is not None and asked is not None:
                held = asked.treatment is FreshKey.HOLD
                slug = ProblemType.LOOKS_REPEATED.slug
                self._record(action, f"would-refuse-{slug}" if held else f"would-warn-{slug}")
            answer = await self._executions.run(action, found, request, interim)
            if answer.problem is None or answer.problem.type is not ProblemType.STORE_UNAVAILABLE:
                return answer
            # Not a byte was sent, because a guarded request must not go without a lease. This one may.
            found = None
        if found is None:
            self._meter.observed(action.route, NOT_OBSERVED)
            return await self._send(action, request, None, NOT_OBSERVED, interim)
        would = would_have(action, found)
        self._record(action, would)
        return await self._send(action, request, found, would, interim)

    async def _claim(self, action: Action) -> Granted | Receipt | None:
        """Claim, or return the receipt that is there, or None where the store does not say in time."""
        if self._executions.overflows:
            return None
        place = await self._places.take(action.user)
        granted = None
        try:
            async with asyncio.timeout(WATCHING):
                found = await self._store.claim(action)
            if isinstance(found, Receipt):
                return found
            granted = Granted(found, place)
            return granted
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("not-observed", request_id=str(action.request_id), error=str(error))
            return None
        finally:
            if granted is None:
                place.give_back()

    def _record(self, action: Action, would: str) -> None:
        self._meter.observed(action.route, would)
        self._executions.detach(self._note(action, would))

    async def _note(self, action: Action, would: str) -> None:
        try:
            await self._store.note(action.request_id, Note.OBSERVED, would)
        except StoreUnavailable as error:
            log.warning("not-recorded", request_id=str(action.request_id), error=str(error))

    async def _send(
        self,
        action: Action,
        request: Request,
        receipt: Receipt | None,
        reason: str,
        interim: TellInterim,
    ) -> Answer:
        state, attempt = (receipt.state, receipt.attempt) if receipt is not None else (None, 0)
        begun = Answer(action.request_id, state, attempt, reason, executed=True)
        place = await self._places.take(action.user)
        return await self._executions.run_unguarded(action, request, begun, place, interim)


def would_have(action: Action, receipt: Receipt) -> str:
    """Name what ``enforce`` would have done with a copy that meets ``receipt``: a short slug."""
    match decide(action, receipt):
        case Replay():
            return "would-replay"
        case Wait():
            return "would-wait"
        case Ask():
            return "would-probe"
        case Resend() | Claimable():
            return "would-send"
        case Refuse(problem=problem):
            return f"would-refuse-{problem.type.slug}"
