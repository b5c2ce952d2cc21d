"""Whoever is to know of an unknown outcome gets a signed message: once while nothing fails, and at last."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import asyncpg
import pytest
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from integration.proxy.conftest import StartProxy
from onceproxy.core import notices
from onceproxy.hooks import telling
from onceproxy.serve import Proxy
from raw_client import a_request, connected
from upstreams import Seen, Upstream, answer, reset

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PATIENCE = 20.0


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "EVERY", 0.02)
    # Longer than any test: it says when a pause is over.
    monkeypatch.setattr(notices, "FIRST_PAUSE", 3600.0)
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def hooks(*urls: str, **more: Any) -> list[dict[str, Any]]:
    return [{"url": url, "secret_env": "HOOK_SECRET", **more} for url in urls]


async def lose_an_answer(proxy: Proxy, upstream: Upstream, name: str = "1") -> str:
    """Have an answer get lost; return the request_id."""
    upstream.will(reset)
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("POST", f"{upstream.url}/charges/{name}?token=xyzzy", body=b"{}"))
    return dict(reply.headers)["Onceproxy-Request-Id"]


def told(seen: Seen) -> dict[str, Any]:
    """What a receiver was told, once it has verified it."""
    message: dict[str, Any] = Webhook(SECRET).verify(
        seen.body, {name.lower(): value for name, value in seen.headers}
    )
    assert message == json.loads(seen.body)
    return message


async def until(database: asyncpg.Connection, question: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await database.fetchval(question):
            await asyncio.sleep(0.02)


PUT_OFF = "SELECT tries = 1 AND due_at > clock_timestamp() + interval '10 min' FROM outbox"
NOTHING_LEFT = "SELECT count(*) = 0 FROM outbox WHERE ended_at IS NULL"


async def test_it_is_told_once_while_three_proxies_could(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    async with Upstream(always=answer(204)) as receiver:
        sections = {"hooks": hooks(f"{receiver.url}/told?to=me"), "admin": {"listen": "127.0.0.1:0"}}
        proxies = [await start_proxy(**sections) for _ in range(3)]
        names = {await lose_an_answer(proxies[at % 3], upstream, str(at)) for at in range(9)}
        await receiver.arrived(9)
        await until(database, NOTHING_LEFT)

    messages = [told(seen) for seen in receiver.requests]
    assert len(messages) == 9
    assert {message["data"]["request_id"] for message in messages} == names
    assert {seen.target for seen in receiver.requests} == {"/told?to=me"}
    first = messages[0]["data"]
    assert (messages[0]["type"], first["state"], first["attempt"]) == ("outcome-unknown", "in_doubt", 1)
    assert (first["phase"], first["reason"]) == ("sent", "connection-lost")
    assert first["url"] == f"{upstream.url}/charges/0"
    assert first["receipt"].endswith(f"/receipts/{first['request_id']}")
    assert b"xyzzy" not in b"".join(seen.body for seen in receiver.requests)


async def test_proxies_without_hooks_leave_it_to_those_that_have_some(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    name = await lose_an_answer(await start_proxy(), upstream)
    async with Upstream(always=answer(200)) as receiver:
        await start_proxy(hooks=hooks(receiver.url))
        await receiver.arrived(1)

    assert told(receiver.requests[0])["data"]["request_id"] == name


async def test_a_receiver_that_was_down_gets_it_and_others_do_not_get_it_twice(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    async with Upstream(always=answer(200)) as up, Upstream(always=answer(503)) as down:
        proxy = await start_proxy(hooks=hooks(up.url, down.url))
        await lose_an_answer(proxy, upstream)
        await until(database, PUT_OFF)
        down.always = answer(200)
        await database.execute("UPDATE outbox SET due_at = clock_timestamp()")  # its pause is over
        await until(database, NOTHING_LEFT)

    assert (len(up.requests), len(down.requests)) == (1, 2)
    first, second = down.requests
    assert first.all("webhook-id") == second.all("webhook-id") == up.requests[0].all("webhook-id")


async def test_nobody_is_redirected(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    async with Upstream(always=answer(200)) as elsewhere, Upstream() as receiver:
        receiver.always = answer(307, headers=(("Location", elsewhere.url),))
        proxy = await start_proxy(hooks=hooks(receiver.url))
        await lose_an_answer(proxy, upstream)
        await until(database, PUT_OFF)

    assert elsewhere.requests == []


async def test_what_is_given_up_is_kept_counted_and_logged(
    start_proxy: StartProxy,
    upstream: Upstream,
    database: asyncpg.Connection,
) -> None:
    with capture_logs() as logs:
        await give_up(start_proxy, upstream, database)

    assert [line["tries"] for line in logs if line["event"] == "hook-failed"] == [2]
    assert "xyzzy" not in str(logs)


async def give_up(start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection) -> None:
    async with Upstream(always=answer(500)) as receiver:
        proxy = await start_proxy(hooks=hooks(f"{receiver.url}/xyzzy"))
        await lose_an_answer(proxy, upstream)
        await until(database, PUT_OFF)
        await database.execute(
            "UPDATE outbox SET due_at = clock_timestamp(), at = clock_timestamp() - interval '4 days'"
        )
        await until(database, "SELECT failed FROM outbox")
        async with connected(proxy.admin_url) as client:
            metrics = (await client.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")).body

    assert b'onceproxy_hooks_total{result="failed"} 1.0' in metrics
    assert b'onceproxy_hooks_total{result="put-off"} 1.0' in metrics


async def test_what_egress_denies_is_not_told(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    async with Upstream() as receiver:
        name = f"localhost:{receiver.port}"
        proxy = await start_proxy(egress={"deny": [name]}, hooks=hooks(f"http://{name}/"))
        await lose_an_answer(proxy, upstream)
        await until(database, PUT_OFF)

    assert receiver.connections == 0


async def test_a_hook_hears_of_what_it_asked_for(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    async with Upstream(always=answer(200)) as all_of_it, Upstream(always=answer(200)) as twice_only:
        sections = hooks(all_of_it.url) + hooks(twice_only.url, events=["executed-twice"])
        proxy = await start_proxy(hooks=sections)
        await lose_an_answer(proxy, upstream)
        await until(database, "SELECT ended_at IS NOT NULL FROM outbox")

    assert (len(all_of_it.requests), len(twice_only.requests)) == (1, 0)
