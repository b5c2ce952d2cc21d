"""Seeing a receipt as it is: a claim whose owner is gone turns in_doubt before anyone is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from onceproxy.core.receipts import Receipt, RequestId
from onceproxy.core.states import State
from onceproxy.guard.ports import StoreUnavailable
from onceproxy.store.connection import Statements
from onceproxy.store.rows import receipt_of

TRY = 5.0  # seconds for one read
_KNOWN = frozenset(State)
LOOKS = 10  # each look but the last found that the receipt had changed under it: more is no accident


@dataclass(frozen=True, slots=True)
class Seen:
    """A receipt, the token of its attempt (who shows it owns the attempt), and the state before its own."""

    receipt: Receipt
    token: UUID
    previous: State


async def look(connections: Statements, request_id: RequestId) -> Seen | None:
    """Return the receipt, if there is one that is still remembered. Raises what asyncpg raises.

    Raises:
        StoreUnavailable: it is in a state that only a later version knows, or does not hold still.
    """
    for _ in range(LOOKS):
        row = await connections.run("read", request_id.digest, timeout=TRY)
        if row is None or row["forgotten"]:
            return None
        if row["state"] not in _KNOWN or row["previous"] not in _KNOWN:
            raise StoreUnavailable(f"the receipt {request_id} is in a state of a later version")
        if row["state"] != State.CLAIMED or row["lease_left"] > 0:
            return Seen(receipt_of(row), row["token"], State(row["previous"]))
        # Whether or not this call is the one that does it, the next look shows what the receipt is now.
        await connections.run("lose", request_id.digest, row["token"], timeout=TRY)
    raise StoreUnavailable(f"the receipt {request_id} does not hold still")


async def read(connections: Statements, request_id: RequestId) -> Receipt | None:
    """Return the receipt alone, likewise."""
    seen = await look(connections, request_id)
    return seen.receipt if seen is not None else None
