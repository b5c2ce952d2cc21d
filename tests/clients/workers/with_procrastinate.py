"""procrastinate over Postgres; run as ``amid``, ``after`` or ``again``."""

import asyncio
from typing import Any

from charging import BROKER, FIRST, charge, end_when_told, guard, watched
from procrastinate import App, PsycopgConnector

from onceproxy.adapters.procrastinate import once

app = App(connector=PsycopgConnector(conninfo=BROKER, min_size=1, max_size=3))


@app.task(name="charge", pass_context=True)
@watched
@once(guard=guard, name="shop.charge")
def task(context: Any, order: str) -> str:
    """Charge."""
    return charge(order)


async def work() -> None:
    """Work until the process ends."""
    async with app.open_async():
        if FIRST:
            await app.schema_manager.apply_schema_async()
            await task.defer_async(order="order-1")
        else:
            end_when_told()
            stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=0))
            assert len(stalled) == 1, stalled
            await app.job_manager.retry_job(stalled[0])
        await app.run_worker_async(concurrency=1, listen_notify=False, fetch_job_polling_interval=0.1)


asyncio.run(work())
