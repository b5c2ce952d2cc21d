"""What is the same in the real store and in its model."""

from __future__ import annotations

import asyncpg

from model.store import ModelStore
from onceproxy.core.receipts import Receipt

CLOSE = 10.0  # seconds that the real clock may go on within an example

ROWS = """SELECT request_id, state, previous, attempt, token, fingerprint, source,
    CASE WHEN header_names IS NOT NULL THEN status END, expires_at IS NOT NULL, forget_at IS NOT NULL
FROM receipts"""


async def same_tables(database: asyncpg.Connection, model: ModelStore) -> None:
    """Compare all rows and all history."""
    rows = await database.fetch(ROWS)
    found = {row["request_id"]: tuple(row.values())[1:] for row in rows}
    expected = {
        request_id.digest: (
            row.state.value,
            row.previous.value,
            row.attempt,
            row.token,
            row.action.fingerprint,
            row.source.value,
            row.response.status if row.response is not None else None,
            row.expires is not None,
            row.forget is not None,
        )
        for request_id, row in model.rows.items()
    }
    assert found == expected, set(found.items()) ^ set(expected.items())
    events = await database.fetch("SELECT request_id, kind, attempt, state FROM events")
    assert sorted(tuple(event.values()) for event in events) == sorted(
        (entry.request_id.digest, entry.kind, entry.attempt, entry.state.value) for entry in model.events
    )


def same_receipt(found: Receipt, expected: Receipt) -> None:
    """Compare what is told of a receipt."""
    assert (found.state, found.attempt, found.fingerprint, found.credential, found.source) == (
        expected.state,
        expected.attempt,
        expected.fingerprint,
        expected.credential,
        expected.source,
    )
    assert abs(found.age - expected.age) < CLOSE
    assert abs(found.first_age - expected.first_age) < CLOSE
    assert abs(found.lease_left - expected.lease_left) < CLOSE
    assert (found.response is None) == (expected.response is None)
    if found.response is not None and expected.response is not None:
        assert found.response.body.read() == expected.response.body.read()
