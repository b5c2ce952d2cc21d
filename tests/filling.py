"""Receipts by the thousand or the million, made inside the database: completed and old."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import asyncpg

from onceproxy.core.receipts import RequestId

STEP = timedelta(milliseconds=80)  # between two receipts: ten million are of nine days
TTL = timedelta(days=20)

RECEIPTS = """
INSERT INTO receipts (
    request_id, state, previous, attempt, token, instance, kind, canonical, scope, fingerprint, credential,
    route, method, url, ttl, tombstone, created_at, changed_at, expires_at, forget_at, status, reason,
    header_names, header_values, body, body_size, body_digest, phase, conclusion, likeness
)
SELECT
    sha256(int8send(n)), 'completed', 'claimed', 1, gen_random_uuid(), gen_random_uuid(), 'key', 1,
    ARRAY['run-42'], sha256('asked'), '', 'charges', 'POST', 'https://api.example.com/v1/charges',
    $4::interval, interval '30 days', at, at, at + $4::interval, at + $4::interval + interval '30 days', 201,
    'Created', ARRAY['Content-Type'::bytea], ARRAY['application/json'::bytea], '{"id": "ch_1"}', 14,
    sha256('{"id": "ch_1"}'), 'body-received', 'status-201',
    CASE WHEN n % 100 = 0 THEN sha256(int8send(n)) END
FROM (
    SELECT n, now() - interval '12 days' + n * $3::interval AS at
    FROM generate_series($1::bigint, $2::bigint) AS n
) AS made
"""
EVENTS = """
INSERT INTO events (request_id, at, kind, attempt, state)
SELECT sha256(int8send(n)), now() - interval '12 days' + n * $3::interval, kind, 1, kind
FROM generate_series($1::bigint, $2::bigint) AS n, unnest(ARRAY['claimed', 'completed']) AS kind
"""
PARTS = """
INSERT INTO parts (request_id, token, number, data)
SELECT sha256(int8send(n)), gen_random_uuid(), 0, ''
FROM generate_series($1::bigint, $2::bigint) AS n
"""


def filled_id(number: int) -> RequestId:
    """The request_id of the receipt of that number."""
    return RequestId(hashlib.sha256(number.to_bytes(8, "big")).digest())


async def fill(connection: asyncpg.Connection, first: int, last: int, *, ttl: timedelta = TTL) -> None:
    """Make receipts and their events, numbered from ``first`` to ``last``, some with parts; then analyze."""
    await insert(connection, first, last, ttl=ttl)
    await tidy(connection)


async def insert(connection: asyncpg.Connection, first: int, last: int, *, ttl: timedelta = TTL) -> None:
    """Make them in one transaction; several connections may do so at once."""
    async with connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit = off")
        await connection.execute(RECEIPTS, first, last, STEP, ttl, timeout=600)
        await connection.execute(EVENTS, first, last, STEP, timeout=600)
        await connection.execute(PARTS, first, min(last, first + 1000), timeout=600)


async def tidy(connection: asyncpg.Connection) -> None:
    """Vacuum and analyze."""
    for table in ("receipts", "events", "parts"):
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=600)
