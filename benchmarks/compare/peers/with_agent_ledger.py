"""agent-ledger, in Postgres."""

import asyncio
import os

from agent_ledger import EffectLedger, EffectLedgerOptions, ToolCall
from agent_ledger.stores.postgres import SCHEMA_SQL, PostgresStore
from agent_ledger.types import LedgerDefaults, RunOptions, StaleOptions
from effect import AMOUNT, KEY, LEASE, POSTGRES, effect
from psycopg_pool import AsyncConnectionPool


async def charge(_: object) -> dict[str, int]:
    return await asyncio.to_thread(effect, AMOUNT)


async def main() -> None:
    # Its default is 0: never to take over what seems to have stopped.
    stale = LEASE * 1000 if os.environ["COMPARE_SETTING"] else 0
    async with AsyncConnectionPool(conninfo=POSTGRES, open=False) as pool:
        async with pool.connection() as connection:
            await connection.execute(SCHEMA_SQL)
        ledger = EffectLedger(
            EffectLedgerOptions(
                store=PostgresStore(pool=pool),
                defaults=LedgerDefaults(run=RunOptions(stale=StaleOptions(after_ms=stale))),
            )
        )
        call = ToolCall(
            workflow_id=KEY, tool="charge", args={"order": KEY, "amount": AMOUNT}, idempotency_keys=["order"]
        )
        print(await ledger.run(call, handler=charge))


asyncio.run(main())
