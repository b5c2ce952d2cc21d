"""A retry that comes after its answer is no longer kept: not done again while it is known that it was."""

from __future__ import annotations

import asyncpg

from faults.conftest import StartProxy
from raw_client import a_request, ask
from upstreams import Upstream

ROUTES = """
routes:
  - {name: refused, match: {path: /refused}, after_ttl: refuse}
  - {name: new, match: {path: /new}, after_ttl: new}
"""


async def test_after_the_time_to_live_and_after_the_tombstone(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    proxy = await start_proxy(config=ROUTES)

    async def pay(method: str, path: str) -> tuple[int, bool]:
        reply = await ask(proxy.url, a_request(method, f"{upstream.url}/{path}", body=b"1"))
        assert reply.status != 410 or reply.slug == "receipt-expired"
        return reply.status, reply.replayed

    for count, method in enumerate(("POST", "PUT", "DELETE")):
        assert [await pay(method, "refused"), await pay(method, "new")] == [(201, False)] * 2
        await database.execute("UPDATE receipts SET expires_at = clock_timestamp() WHERE method = $1", method)

        assert [await pay(method, "refused") for _ in (1, 2)] == [(410, False)] * 2
        assert [await pay(method, "new") for _ in (1, 2)] == [(201, False), (201, True)]
        assert upstream.executions == 4 * count + 3

        await database.execute("UPDATE receipts SET forget_at = clock_timestamp() WHERE method = $1", method)
        assert [await pay(method, "refused") for _ in (1, 2)] == [(201, False), (201, True)]
        assert upstream.executions == 4 * count + 4
