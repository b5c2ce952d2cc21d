"""How the database finds what the hot statements ask for, left to itself: by an index, or by its place."""

from __future__ import annotations

import re

import asyncpg
import pytest

from filling import fill
from onceproxy.store.statements import Statement, all_statements

HOT = {"claims", "settlements", "reading", "parts", "likeness", "resolutions"}
LOOKS = {"collect", "page_of_receipts", "counts_by_route", "counts_by_time"}
EVERY = [one for one in all_statements().values() if one.file in HOT or one.name in LOOKS]

SCAN = re.compile(r"Seq Scan on (receipts|events|parts)")


async def plan_of(connection: asyncpg.Connection, statement: Statement) -> str:
    prepared = await connection.prepare(statement.text)
    nulls = ", ".join("NULL" for _ in prepared.get_parameters())
    await connection.execute(f"PREPARE it AS {statement.text}")
    plan = await connection.fetch(f"EXPLAIN EXECUTE it({nulls})")
    await connection.execute("DEALLOCATE it")
    return "\n".join(row[0] for row in plan)


async def test_no_hot_statement_reads_a_whole_table(database: asyncpg.Connection) -> None:
    await fill(database, 1, 5000)
    # The plan that a session keeps for whatever values come.
    await database.execute("SET plan_cache_mode = force_generic_plan")

    plans = {statement.name: await plan_of(database, statement) for statement in EVERY}

    assert {"claim_one", "claim_new", "claim", "settle_one", "settle_claimed", "settle"} <= set(plans)
    assert {"read", "find_like", *LOOKS} <= set(plans)
    assert {name: plan for name, plan in plans.items() if SCAN.search(plan)} == {}


@pytest.mark.parametrize("name", ["claim_one", "claim_new", "settle_one", "settle_claimed"])
async def test_a_batch_does_not_read_a_table_that_was_small_when_its_plan_was_made(
    database: asyncpg.Connection, name: str
) -> None:
    await database.execute("SET plan_cache_mode = force_generic_plan")

    plan = await plan_of(database, all_statements()[name])

    assert not SCAN.search(plan), plan


async def test_a_settlement_writes_no_index(database: asyncpg.Connection) -> None:
    indexed = await database.fetchval(
        """
        SELECT array_agg(DISTINCT attname::text)
        FROM pg_index
        JOIN pg_attribute ON attrelid = indrelid AND attnum > 0
        WHERE indrelid = 'receipts'::regclass
            AND (attnum = ANY (indkey) OR pg_get_expr(indpred, indrelid) ~ ('\\m' || attname || '\\M'))
        """
    )

    # None of these changes between claim and completion.
    assert set(indexed) == {"request_id", "created_at", "likeness"}
