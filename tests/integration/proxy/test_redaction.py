"""Redaction: the receipt lacks what the route names, the first client does not, and copies are told."""

from __future__ import annotations

import asyncpg
import pytest

from integration.proxy.conftest import StartProxy
from raw_client import a_request, ask
from upstreams import Upstream, answer

JSON = (("Content-Type", "application/json"),)
ROUTE = {"name": "cards", "match": {"path": "/cards"}, "redact": ["$.number"]}


async def test_a_copy_gets_a_marker_and_is_told(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    proxy = await start_proxy(routes=[ROUTE])
    upstream.will(answer(201, b'{"number": "4242", "id":1}', JSON))
    request = a_request("POST", f"{upstream.url}/cards", body=b"1")

    first, again = await ask(proxy.url, request), await ask(proxy.url, request)

    assert first.body == b'{"number": "4242", "id":1}'
    assert again.body == b'{"number": "(redacted)", "id":1}'
    assert again.all("Content-Length") == [str(len(again.body))]
    assert "redacted" in again.all("Onceproxy-Status")[0]
    assert not again.all("Onceproxy-Redacted")
    assert "redacted" not in first.all("Onceproxy-Status")[0]
    assert b"4242" not in await database.fetchval("SELECT body FROM receipts")


@pytest.mark.parametrize("status", [201, 500])
async def test_what_can_not_be_redacted_is_not_kept(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection, status: int
) -> None:
    proxy = await start_proxy(routes=[ROUTE])
    upstream.will(answer(status, b"the number is 4242"))
    request = a_request("POST", f"{upstream.url}/cards", body=b"1")

    first, again = await ask(proxy.url, request), await ask(proxy.url, request)

    assert first.body == b"the number is 4242"
    assert again.status == 409
    assert await database.fetchval("SELECT count(*) FROM receipts WHERE body IS NULL AND NOT body_kept") == 1
    assert upstream.executions == 1
