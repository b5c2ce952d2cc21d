"""What others than the attempt itself say of a receipt: a probe's or a person's verdict, and a purge."""

from __future__ import annotations

from datetime import timedelta

from onceproxy.core.receipts import RequestId
from onceproxy.core.states import State
from onceproxy.guard.ports import Resolution
from onceproxy.store.connection import Connections
from onceproxy.store.rows import readable, response_values

TRY = 5.0  # seconds for one statement


async def resolve(
    connections: Connections, request_id: RequestId, attempt: int, resolution: Resolution
) -> bool:
    """Settle the doubt about an attempt; return whether it was still in doubt. Raises what asyncpg raises.

    Raises:
        ValueError: it is said to have happened, and there is no response to keep; or the other way round.
    """
    if resolution.happened is not (resolution.response is not None):
        raise ValueError("a resolution brings a response exactly when it happened")
    response = resolution.response
    reason, names, values, body, _, size, digest = response_values(response)
    row = await connections.run(
        "resolve",
        request_id.digest,
        attempt,
        (State.COMPLETED if resolution.happened else State.RELEASED).value,
        resolution.source.value,
        response.status if response is not None else None,
        reason,
        names,
        values,
        body,
        size,
        digest,
        "confirmed" if resolution.happened else "refuted",
        readable(resolution.note),
        timedelta(seconds=resolution.settle),
        timeout=TRY,
        reserved=True,
    )
    assert row is not None
    return bool(row["resolved"])
