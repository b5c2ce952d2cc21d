"""About how many receipts there are, for whoever waits for a walk through all of them."""

from __future__ import annotations

from onceproxy.store.connection import Connections

TRY = 5.0  # seconds for one statement


async def about_how_many(connections: Connections) -> int | None:
    """Return Postgres's own estimate; None: it has none yet. Raises what asyncpg raises."""
    row = await connections.run("about_how_many", timeout=TRY)
    assert row is not None
    return int(row["receipts"]) if row["receipts"] >= 0 else None
