"""The admin port: health, and nothing of it on the clients' port."""

from __future__ import annotations

import json

import pytest

from integration.proxy.conftest import StartProxy
from onceproxy.serve import Proxy
from raw_client import a_request, ask, post
from upstreams import Upstream

TOKEN = "a-token-of-some-length"


async def test_health(proxy: Proxy) -> None:
    alive = await ask(proxy.admin_url, a_request("GET", "/healthz"))
    ready = await ask(proxy.admin_url, a_request("GET", "/readyz"))

    assert (alive.status, json.loads(alive.body)) == (200, {"status": "alive"})
    assert (ready.status, json.loads(ready.body)) == (200, {"status": "ready"})


async def test_the_clients_port_tells_nothing_of_it(proxy: Proxy) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await ask(proxy.url, a_request("GET", path))).slug == "bad-request"


async def test_the_admin_port_is_no_proxy(proxy: Proxy, start_proxy: StartProxy) -> None:
    other = await start_proxy()

    assert (await ask(proxy.admin_url, a_request("GET", f"{other.admin_url}/healthz"))).status in (200, 404)
    assert (await ask(proxy.admin_url, a_request("POST", f"{other.url}/x", body=b""))).status in (404, 405)
    assert (await ask(proxy.admin_url, a_request("CONNECT", "example.com:443", "Host: x"))).status == 403


async def test_metrics(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(defaults={"mode": "observe"})
    for _ in range(3):
        assert (await post(proxy.url, f"{upstream.url}/pay")).status == 201

    page = await ask(proxy.admin_url, a_request("GET", "/metrics"))

    assert page.one("Content-Type").startswith("text/plain; version=")
    assert b'onceproxy_observed_total{route="default",would="would-replay"} 2.0' in page.body
    assert upstream.executions == 3


async def test_metrics_of_actions_that_look_repeated(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(defaults={"fresh_key": "warn"})
    for key in ("k-1", "k-2", "k-2"):
        assert (await post(proxy.url, f"{upstream.url}/pay", f"Idempotency-Key: {key}")).status == 201

    page = await ask(proxy.admin_url, a_request("GET", "/metrics"))

    assert b'onceproxy_looks_repeated_total{route="default"} 1.0' in page.body
    assert upstream.executions == 2


async def test_metrics_need_the_token_where_there_is_one(
    start_proxy: StartProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIN_TOKEN", TOKEN)
    proxy = await start_proxy(
        admin={"listen": "127.0.0.1:0", "token_env": "ADMIN_TOKEN", "hosts": ["metrics.internal"]}
    )

    async def status(path: str, *lines: str) -> int:
        return (await ask(proxy.admin_url, a_request("GET", path, *lines))).status

    assert (await status("/healthz"), await status("/readyz")) == (200, 200)
    assert await status("/metrics") == 401
    assert await status("/metrics", f"Authorization: Bearer {TOKEN}") == 200
    assert await status("/metrics", f"Authorization: Bearer {TOKEN}", "Host: metrics.internal:8889") == 200
    assert await status("/metrics", f"Authorization: Bearer {TOKEN}", "Host: evil.example") == 403
