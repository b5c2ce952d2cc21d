"""Mode ``observe``: everything is sent, and what the guard would have done is recorded.

For a team that looks before it leaps. Receipts are claimed and settled as ever, so the record is real; only
nobody is refused, kept waiting or answered from them.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from onceproxy.core.attempts import NOTHING_SENT, Attempt
from onceproxy.core.decisions import Ask, Claimable, Refuse, Replay, Resend, Wait, decide
from onceproxy.core.messages import Request
from onceproxy.core.problems import ProblemType, upstream_problem
from onceproxy.core.receipts import Action, Claim, Receipt
from onceproxy.core.rules import FreshKey
from onceproxy.guard.answers import Answer
from onceproxy.guard.executions import Executions
from onceproxy.guard.ports import Execute, Meter, Note, Store, StoreUnavailable

log = structlog.get_logger("onceproxy.guard")


async def observe(
    action: Action,
    request: Request,
    store: Store,
    execute: Execute,
    executions: Executions,
    meter: Meter,
) -> Answer:
    """Send one copy whatever is known of the action, and record what would have become of it."""
    asked = action.likeness
    if asked is not None and asked.treatment is FreshKey.HOLD:
        action = replace(action, likeness=replace(asked, treatment=FreshKey.WARN))
    try:
        found = await store.claim(action)
    except StoreUnavailable as error:
        log.warning("not-observed", request_id=str(action.request_id), error=str(error))
        return _answer(action, None, await execute.send(request, _always), "store-unavailable")
    if isinstance(found, Claim):
        if found.like is not None and asked is not None:
            held = asked.treatment is FreshKey.HOLD
            slug = ProblemType.LOOKS_REPEATED.slug
            await _record(action, f"would-refuse-{slug}" if held else f"would-warn-{slug}", store, meter)
        return await executions.run(action, found, request)
    would = would_have(action, found)
    await _record(action, would, store, meter)
    return _answer(action, found, await execute.send(request, _always), would)


async def _record(action: Action, would: str, store: Store, meter: Meter) -> None:
    meter.observed(action.route, would)
    try:
        await store.note(action.request_id, Note.OBSERVED, would)
    except StoreUnavailable as error:
        log.warning("not-recorded", request_id=str(action.request_id), error=str(error))


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


def _always() -> bool:
    return True


def _answer(action: Action, receipt: Receipt | None, attempt: Attempt, reason: str) -> Answer:
    return Answer(
        action.request_id,
        receipt.state if receipt is not None else None,
        receipt.attempt if receipt is not None else 0,
        reason,
        response=attempt.response,
        problem=upstream_problem(attempt) if attempt.response is None else None,
        executed=attempt.phase not in NOTHING_SENT,
    )
