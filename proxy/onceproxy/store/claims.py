"""The beginning of an attempt: at most one live claim for an action, over all instances.

A try whose commit is unknown is simply repeated with the same token. If the first one was committed after all
(even while the second was on its way: the database makes it wait), the receipt that stands in the way carries
our own token, and is our claim.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg

from onceproxy.core.decisions import Claimable, Resend, decide
from onceproxy.core.receipts import Action, Claim, Receipt, RequestId
from onceproxy.core.rules import FreshKey
from onceproxy.core.states import State
from onceproxy.guard.ports import StoreUnavailable
from onceproxy.store.confirming import confirm
from onceproxy.store.connection import Connections
from onceproxy.store.reading import look
from onceproxy.store.rows import action_values

TRY = 5.0  # seconds for one statement
ROUNDS = 10  # a receipt that is free when read and taken when claimed, ten times over, is no accident


class InstanceNotLive(StoreUnavailable):
    """The database no longer believes that this instance is alive."""


async def claim(connections: Connections, action: Action, token: UUID, instance: UUID) -> Claim | Receipt:
    """Claim ``action`` for ``instance`` under ``token``, or return the receipt that stands in the way.

    That may be the one of an earlier action like it, where the route holds those. Safe to repeat with the
    same token. Raises what asyncpg raises.

    Raises:
        InstanceNotLive: the instance's lease ran out, or it was ended.
        StoreUnavailable: others claim and release the action faster than we can look.
    """
    request_id = action.request_id
    for _ in range(ROUNDS):
        row, like = await _try(
            connections, action, (request_id.digest, token, instance, *action_values(action))
        )
        if row is None:
            assert like is not None
            if (earlier := await look(connections, like)) is not None:
                return earlier.receipt
            continue  # purged since
        if row["attempt"] is not None:
            claimed = Claim(request_id, token, row["attempt"], like=like)
            return _resent(claimed, action, row["resent_at"]) if row["resent_at"] is not None else claimed
        seen = await look(connections, request_id)
        if seen is not None and seen.token == token:
            # An earlier try of ours got through. If it is lost already, then so is our lease.
            if seen.receipt.state is not State.CLAIMED:
                raise InstanceNotLive("the claim was lost together with this instance's lease")
            # It is seen; that does not say that the standbys have it.
            if not await confirm(connections, request_id, token, State.CLAIMED):
                continue
            claimed = Claim(request_id, token, seen.receipt.attempt)
            resent = seen.previous is State.IN_DOUBT
            return _resent(claimed, action, seen.receipt.first_age) if resent else claimed
        if not row["live"]:
            raise InstanceNotLive("this instance's lease ran out: it may not claim until it has a new one")
        if seen is not None and not _is_free(seen.receipt, action):
            return seen.receipt
    raise StoreUnavailable(f"others claim and release {request_id} all the time")


def _resent(claim: Claim, action: Action, first_age: float) -> Claim:
    window = action.policy.resend_window
    return replace(claim, doubtful=True, resend_left=(window or 0.0) - first_age)


async def _try(
    connections: Connections, action: Action, values: tuple[object, ...]
) -> tuple[asyncpg.Record | None, RequestId | None]:
    """Return what the claim returned (None: it was not even tried), and an earlier action like this one."""
    likeness = action.likeness
    if likeness is None or likeness.treatment is FreshKey.ALLOW:
        return await connections.run("claim", *values, timeout=TRY), None
    question = (action.request_id.digest, likeness.digest, timedelta(seconds=likeness.window))
    if likeness.treatment is FreshKey.WARN:
        found = await connections.run("find_like", *question, timeout=TRY)
        return await connections.run("claim", *values, timeout=TRY), _request_id(found)
    # Of two that come at the same instant, the second one looks when the first one's claim is committed.
    async with connections.transaction(TRY) as run:
        await run("lock_likeness", int.from_bytes(likeness.digest[:8], "big", signed=True))
        like = _request_id(await run("find_like", *question))
        return (await run("claim", *values) if like is None else None), like


def _request_id(row: asyncpg.Record | None) -> RequestId | None:
    return RequestId(row["request_id"]) if row is not None else None


def _is_free(receipt: Receipt, action: Action) -> bool:
    """Say whether what stood in the way a moment ago can be claimed by now."""
    return isinstance(decide(action, receipt), Claimable | Resend)
