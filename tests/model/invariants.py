"""The eight invariants of the design, against what only the world knows: what the upstream really did.

The numbers are those of the design: 1 one live claim, 2 durable before a byte is sent, 3 durable before a
client has it, 4 completed is final, 5 a second attempt only where it was allowed (and the action done once),
6 settled by the attempt itself, 7 an event for each change, 8 no two actions share a receipt.
"""

from __future__ import annotations

from model.store import Entry, Row
from model.world import ID, WINDOW, Copy, Snapshot, World
from onceproxy.core.policies import InDoubt
from onceproxy.core.receipts import Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Settled

NO_CHANGE = frozenset({"executed-twice", "late-release", "contradicted"})


def snapshot(world: World) -> Snapshot:
    row = world.store.rows.get(ID)
    if row is None:
        return State.ABSENT, None, 0, None, None
    return row.state, row.token, row.attempt, row.response, row.expires


def check(world: World) -> None:
    if world.effects > 1 and world.policy.in_doubt is not InDoubt.EXECUTE:
        world.broken(f"5: done {world.effects} times")
    events, before = world.store.events, world.before
    if len(events) == world.seen_events:
        if snapshot(world) != before:
            world.broken("7: a change without an event")
        return
    new = events[world.seen_events :]
    world.seen_events = len(events)
    after = world.before = snapshot(world)
    state, _, _, _, expires = before
    changes = [entry for entry in new if entry.kind not in NO_CHANGE]
    if after[:2] != before[:2] and (not changes or changes[-1].state is not after[0]):
        world.broken(f"7: {state} became {after[0]}, and the events say otherwise: {new}")
    if state is State.COMPLETED and after != before:
        if changes[0].kind not in ("expired", "purged", "forgotten"):
            world.broken("4: a completed receipt changed")
        if changes[0].kind != "purged" and (expires is None or expires > world.store.now):
            world.broken("4: a completed receipt went before its time")
    _check_claims(world, before, new)


def _check_claims(world: World, before: Snapshot, new: list[Entry]) -> None:
    state = before[0]
    for entry in new:
        if entry.kind == "claimed":
            row = world.store.rows[ID]
            _check_claim(world, state, row)
            if state in (State.ABSENT, State.TOMBSTONE):
                world.effects = 0  # another life
                world.remembered.clear()
        state = entry.state


def _check_claim(world: World, state: State, row: Row) -> None:
    if state in (State.ABSENT, State.RELEASED, State.TOMBSTONE):
        return
    if state is not State.IN_DOUBT:
        world.broken(f"5: claimed while {state}")
    policy = row.action.policy
    in_window = policy.in_doubt is InDoubt.RESEND and world.store.now - row.created < WINDOW
    if not in_window and policy.in_doubt is not InDoubt.EXECUTE:
        world.broken("5: claimed in doubt, and no policy allowed it")


def check_durable(world: World, copy: Copy) -> None:
    """A client has the end of a response: it is in the receipt, or in the audit trail of one."""
    assert copy.kind is not None
    kinds = {entry.kind for entry in world.store.events if entry.token == copy.token}
    row = world.store.rows.get(ID)
    stored = {copy.kind.value, "healed", "confirmed", "refuted"} & kinds
    if not stored and not kinds & {"executed-twice", "late-release", "contradicted"}:
        world.broken("3: a client has a response that no receipt knows")
    if (
        copy.settled is Settled.STORED
        and row is not None
        and row.token == copy.token
        and row.state is State.COMPLETED
        and row.source is Source.UPSTREAM
        and copy.attempt is not None
        and row.response is not copy.attempt.response
    ):
        world.broken("3: the receipt is not what the client has")
