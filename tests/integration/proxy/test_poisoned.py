"""Receipts that were changed in the database do not become responses that end where they should not."""

from __future__ import annotations

import asyncpg
import pytest

from onceproxy.serve import Proxy
from raw_client import a_request, ask
from upstreams import Upstream


@pytest.mark.parametrize(
    "change",
    [
        r"reason = 'OK\015\012Set-Cookie: a=b'::bytea",
        r"header_values[1] = '2\015\012\015\012HTTP/1.1 200 OK'::bytea",
        "header_values[1] = '1'::bytea",
        "header_names[1] = 'Transfer-Encoding'::bytea",
    ],
)
async def test_a_poisoned_receipt_is_not_replayed(
    proxy: Proxy, upstream: Upstream, database: asyncpg.Connection, change: str
) -> None:
    request = a_request("POST", f"{upstream.url}/pay", body=b"1")
    assert (await ask(proxy.url, request)).status == 201
    await database.execute(f"UPDATE receipts SET {change}")

    again = await ask(proxy.url, request)

    assert again.slug == "receipt-body-not-kept"
    assert not again.all("Set-Cookie")
    assert upstream.executions == 1
