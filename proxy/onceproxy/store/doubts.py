"""How much is in doubt: counted in a table that a trigger keeps, as no index on receipts has their state."""

from __future__ import annotations

from onceproxy.store.connection import Connections

MOST = 100_000  # counted, which takes some 20 ms; whoever has more needs no number
TRY = 5.0  # seconds for one statement


async def count_doubts(connections: Connections) -> tuple[int, float]:
    """Return how many actions are in doubt, and for how many seconds the oldest one has been.

    Raises what asyncpg raises.
    """
    row = await connections.run("count_doubts", MOST, timeout=TRY)
    assert row is not None
    return row["doubts"], row["oldest"]
