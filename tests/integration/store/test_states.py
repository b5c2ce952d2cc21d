"""The database obeys the table of core/states.py: no more transitions, and no fewer."""

from __future__ import annotations

import itertools
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from onceproxy.core.policies import InDoubt
from onceproxy.core.receipts import Claim, Source
from onceproxy.core.states import TRANSITIONS, Event, State
from onceproxy.guard.ports import Resolution, Settlement
from onceproxy.store.operator import NotPossible, purge
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.retention import collect
from stores import a_response, an_action, completed, in_doubt, released

SETTLEMENTS: dict[State, Settlement] = {
    State.COMPLETED: completed(),
    State.RELEASED: released(),
    State.IN_DOUBT: in_doubt(),
}
EVENTS: dict[Event, Settlement] = {
    Event.COMPLETE: completed(),
    Event.RELEASE: released(),
    Event.DOUBT: in_doubt(),
}


RESOLUTIONS: dict[Event, Resolution] = {
    Event.CONFIRM: Resolution(True, Source.OPERATOR, "seen in the dashboard", a_response()),
    Event.REFUTE: Resolution(False, Source.OPERATOR, "not there"),
}
AGED = """UPDATE receipts SET changed_at = changed_at - $1::interval, created_at = created_at - $1,
    expires_at = expires_at - $1, forget_at = forget_at - $1"""


async def bring_into(state: State, store: PostgresStore, database: asyncpg.Connection) -> Claim:
    if state is State.ABSENT:
        return Claim(an_action().request_id, uuid4(), 1)
    claim = await store.claim(an_action())
    assert isinstance(claim, Claim)
    if state is State.TOMBSTONE:
        await store.settle(claim, completed())
        await cause(Event.EXPIRE, claim, store, database)
    elif state in SETTLEMENTS:
        await store.settle(claim, SETTLEMENTS[state])
    return claim


async def cause(event: Event, claim: Claim, store: PostgresStore, database: asyncpg.Connection) -> None:
    if event is Event.CLAIM:
        await store.claim(an_action())
    elif event in EVENTS:
        await store.settle(claim, EVENTS[event])
    elif event is Event.RESEND:
        if await database.fetchval("SELECT state FROM receipts") == "in_doubt":
            await store.claim(an_action(in_doubt=InDoubt.EXECUTE))
    elif event in RESOLUTIONS:
        await store.resolve(claim.request_id, claim.attempt, RESOLUTIONS[event])
    elif event is Event.LOSE:
        await database.execute("UPDATE instances SET lease_until = clock_timestamp()")
    elif event is Event.PURGE:
        with suppress(NotPossible):
            await purge(store._connections, claim.request_id, "a duplicate order")
    else:
        # As if all of it had happened long ago: only what has a time to live can run out of it.
        await database.execute(AGED, timedelta(hours=2) if event is Event.EXPIRE else timedelta(days=3650))
        await collect(store._connections)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
async def test_every_event_in_every_state(
    store: PostgresStore, database: asyncpg.Connection, state: State, event: Event
) -> None:
    claim = await bring_into(state, store, database)

    await cause(event, claim, store, database)

    receipt = await store.read(claim.request_id)
    found = State.ABSENT if receipt is None else receipt.state
    if (state, event) == (State.COMPLETED, Event.FORGET):
        # Its time to live ran out before, so the walk takes both steps at once.
        assert found is State.ABSENT
    else:
        assert found is TRANSITIONS.get((state, event), state)


async def test_the_constraint_holds_the_same_table(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    claim = await bring_into(State.CLAIMED, store, database)
    shapes = {
        State.CLAIMED: "phase = NULL",
        State.RELEASED: "phase = 'connecting', forget_at = clock_timestamp()",
        State.TOMBSTONE: "expires_at = clock_timestamp(), forget_at = clock_timestamp()",
        State.IN_DOUBT: "phase = 'sent'",
        State.COMPLETED: """status = 200, reason = '', header_names = '{}', header_values = '{}', body = '',
            body_size = 0, body_digest = fingerprint, expires_at = clock_timestamp(),
            forget_at = clock_timestamp()""",
    }
    allowed = set()
    for before, after in itertools.product(State, shapes):
        transaction = database.transaction()
        await transaction.start()
        allowed_here = True
        try:
            await database.execute(
                f"UPDATE receipts SET previous = $2, state = $3, {shapes[after]} WHERE request_id = $1",
                claim.request_id.digest,
                before.value,
                after.value,
            )
        except asyncpg.CheckViolationError as error:
            allowed_here = error.constraint_name != "receipts_transition_is_legal"
        if allowed_here:
            allowed.add((before, after))
        await transaction.rollback()

    rows = {(before, after) for (before, _), after in TRANSITIONS.items() if after is not State.ABSENT}
    # An expiry is seen, and becomes a change of the row only in one step with the next claim.
    assert allowed == rows | {(State.COMPLETED, State.CLAIMED)}
