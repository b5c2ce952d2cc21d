"""What a person may do to a receipt: say what happened, or remove it; either leaves a note behind."""

from __future__ import annotations

from onceproxy.core.receipts import RequestId
from onceproxy.core.states import State
from onceproxy.guard.ports import Resolution
from onceproxy.store.connection import Connections
from onceproxy.store.reading import look
from onceproxy.store.resolutions import TRY, resolve


class NotPossible(Exception):
    """A receipt is in a state in which it can't be resolved or purged; the text says why and what can be."""


async def resolve_by_hand(connections: Connections, request_id: RequestId, resolution: Resolution) -> None:
    """Settle a doubt by a person's word. Raises what asyncpg raises.

    Raises:
        NotPossible: there is no such receipt, or it is not in doubt.
    """
    seen = await look(connections, request_id)  # also puts a claim in doubt whose owner is gone
    state = seen.receipt.state if seen is not None else State.ABSENT
    if seen is None or state is not State.IN_DOUBT:
        raise NotPossible(_why_not(request_id, state, "Only what is in doubt can be resolved."))
    if not await resolve(connections, request_id, seen.receipt.attempt, resolution):
        raise NotPossible(f"{request_id} changed in the meantime; look at it again")


async def purge(connections: Connections, request_id: RequestId, note: str) -> None:
    """Remove a receipt, so that the next copy of its action is a new one. Raises what asyncpg raises.

    Raises:
        NotPossible: there is no such receipt, or nobody knows yet whether its action happened.
    """
    row = await connections.run("purge", request_id.digest, note, timeout=TRY, reserved=True)
    assert row is not None
    if row["purged"]:
        return
    state = State(row["state"]) if row["state"] is not None else State.ABSENT
    remedy = (
        "Say first what became of it: `onceproxy receipts resolve`."
        if state is State.IN_DOUBT
        else "Only what is settled can be purged."
    )
    raise NotPossible(_why_not(request_id, state, remedy))


def _why_not(request_id: RequestId, state: State, remedy: str) -> str:
    if state is State.ABSENT:
        return f"there is no receipt {request_id}"
    return f"{request_id} is {state}. {remedy}"
