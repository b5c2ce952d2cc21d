"""Making sure of a commit whose fate was not known when it was made, and which was read back since.

A row can be read although its commit never reached a synchronous standby: the wait for it was cancelled, or
the primary crashed meanwhile and recovered. A failover would forget it. A commit that comes later is on the
standby only if all earlier ones are.
"""

from __future__ import annotations

from uuid import UUID

from onceproxy.core.receipts import RequestId
from onceproxy.core.states import State
from onceproxy.store.connection import Statements

TRY = 5.0  # seconds for one statement


async def confirm(connections: Statements, request_id: RequestId, token: UUID, state: State) -> bool:
    """Make durable what is seen of a receipt; return whether it was still there.

    Raises what asyncpg raises.
    """
    row = await connections.run("confirm", request_id.digest, token, state.value, timeout=TRY, reserved=True)
    assert row is not None
    return bool(row["confirmed"])
