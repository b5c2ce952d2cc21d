"""The beginning of an attempt: at most one live claim for an action, over all instances.

A try whose commit is unknown is simply repeated with the same token. If the first one was committed after all
(even while the second was on its way: the database makes it wait), the receipt that stands in the way carries
our own token, and is our claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from uuid import UUID

import asyncpg

from onceproxy.core.decisions import Claimable, Resend, decide
from onceproxy.core.receipts import Action, Claim, Receipt, RequestId
from onceproxy.core.rules import FreshKey
from onceproxy.core.states import State
from onceproxy.guard.ports import StoreUnavailable
from onceproxy.store.batching import TRY as BATCH_TRY
from onceproxy.store.batching import Batched, Lane, NotBatched
from onceproxy.store.confirming import confirm
from onceproxy.store.connection import Connections, Run, Statements
from onceproxy.store.reading import look
from onceproxy.store.rows import action_values, claim_columns, lone_claim_values
from onceproxy.store.turns import Turns

TRY = 5.0  # seconds for one statement
ROUNDS = 10  # a receipt that is free when read and taken when claimed, ten times over, is no accident


class InstanceNotLive(StoreUnavailable):
    """The database no longer believes that this instance is alive."""


@dataclass(slots=True)  # not frozen: there is one a request, and that doubles its price
class Asked:
    """What a claim is asked for with."""

    action: Action
    token: UUID
    instance: UUID

    def values(self) -> tuple[object, ...]:
        """The parameters of the statement ``claim_one``."""
        return self.action.request_id.digest, self.token, self.instance, *lone_claim_values(self.action)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a statement says of one claim, as ``claim`` does in ``sql/claims.sql``."""

    live: bool
    attempt: int | None = None
    resent_at: float | None = None


NEW, NOT_NEW, NOT_LIVE = Tried(live=True, attempt=1), Tried(live=True), Tried(live=False)


class NewClaims:
    """Where claims of actions that have no receipt yet are made, many at once, and all others in turn."""

    def __init__(self, connections: Connections, batched: Batched | None = None) -> None:
        self.lane: Lane[Asked, Tried] = Lane("claims", partial(_claim_new, connections), batched=batched)
        self.turns = Turns()


async def try_new(new: NewClaims, asked: Asked, patience: float) -> Tried | None:
    """Claim an action with others, if it is new as nearly all are. None: it has to be claimed alone.

    Raises:
        StoreUnavailable: nothing was heard of it for ``patience`` seconds. It may be claimed.
    """
    action = asked.action
    if action.likeness is not None and action.likeness.treatment is not FreshKey.ALLOW:
        return None
    if new.turns.goes_alone(action.request_id.digest):
        return None
    try:
        return await new.lane.ask(action.request_id.digest, asked, _size(action), patience)
    except NotBatched:
        return None  # it may be ours by now: as after any commit that is not known
    except TimeoutError as error:
        raise StoreUnavailable("the database does not answer: TimeoutError") from error


async def claim(
    connections: Statements, action: Action, token: UUID, instance: UUID, tried: Tried | None = None
) -> Claim | Receipt:
    """Claim ``action`` for ``instance`` under ``token``, or return the receipt that stands in the way.

    That may be the one of an earlier action like it, where the route holds those. Safe to repeat with the
    same token. ``tried``: what came of it with others. Raises what asyncpg raises.

    Raises:
        InstanceNotLive: the instance's lease ran out, or it was ended.
        StoreUnavailable: others claim and release the action faster than we can look.
    """
    request_id = action.request_id
    asked = Asked(action, token, instance)
    like = None
    for turn in range(ROUNDS):
        if tried is None or turn > 0:
            tried, like = await _try(connections, asked)
            if tried is None:
                assert like is not None
                if (earlier := await look(connections, like)) is not None:
                    return earlier.receipt
                continue  # purged since
        if tried.attempt is not None:
            claimed = Claim(request_id, token, tried.attempt, like=like)
            return _resent(claimed, action, tried.resent_at) if tried.resent_at is not None else claimed
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
        if not tried.live:
            raise InstanceNotLive("this instance's lease ran out: it may not claim until it has a new one")
        if seen is not None and not _is_free(seen.receipt, action):
            return seen.receipt
    raise StoreUnavailable(f"others claim and release {request_id} all the time")


def _resent(claim: Claim, action: Action, first_age: float) -> Claim:
    window = action.policy.resend_window
    return replace(claim, doubtful=True, resend_left=(window or 0.0) - first_age)


async def _try(connections: Statements, asked: Asked) -> tuple[Tried | None, RequestId | None]:
    """Return what came of a claim (None: it was not even tried), and an earlier action like this one."""
    action = asked.action
    likeness = action.likeness
    if likeness is None or likeness.treatment is FreshKey.ALLOW:
        return await _alone(connections, asked), None
    question = (action.request_id.digest, likeness.digest, timedelta(seconds=likeness.window))
    if likeness.treatment is FreshKey.WARN:
        found = await connections.run("find_like", *question, timeout=TRY)
        return await _alone(connections, asked), _request_id(found)
    # Of two that come at the same instant, the second one looks when the first one's claim is committed.
    async with connections.transaction(TRY) as run:
        await run("lock_likeness", int.from_bytes(likeness.digest[:8], "big", signed=True))
        like = _request_id(await run("find_like", *question))
        return (await _alone(connections, asked, run) if like is None else None), like


async def _alone(connections: Statements, asked: Asked, run: Run | None = None) -> Tried:
    values = (asked.action.request_id.digest, asked.token, asked.instance, *action_values(asked.action))
    row = await (run("claim", *values) if run is not None else connections.run("claim", *values, timeout=TRY))
    assert row is not None
    return Tried(row["live"], row["attempt"], row["resent_at"])


async def _claim_new(connections: Connections, batch: Sequence[Asked]) -> Sequence[Tried]:
    if len(batch) == 1:
        row = await connections.run("claim_one", *batch[0].values(), timeout=BATCH_TRY)
        assert row is not None
        return [_tried(row["live"], row["claimed"])]
    columns = claim_columns([one.values() for one in batch])
    row = await connections.run("claim_new", *columns, timeout=BATCH_TRY)
    assert row is not None
    live, claimed = set(row["live"]), set(row["claimed"])
    return [_tried(one.instance in live, one.action.request_id.digest in claimed) for one in batch]


def _tried(live: bool, claimed: bool) -> Tried:
    return NEW if claimed else NOT_NEW if live else NOT_LIVE


def _size(action: Action) -> int:
    return len(action.url) + sum(map(len, action.scope))


def _request_id(row: asyncpg.Record | None) -> RequestId | None:
    return RequestId(row["request_id"]) if row is not None else None


def _is_free(receipt: Receipt, action: Action) -> bool:
    """Say whether what stood in the way a moment ago can be claimed by now."""
    return isinstance(decide(action, receipt), Claimable | Resend)
