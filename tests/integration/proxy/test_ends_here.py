"""OPTIONS and TRACE with Max-Forwards: counted down on the way, and answered here where it ends."""

from __future__ import annotations

import pytest

from integration.proxy.conftest import StartProxy
from onceproxy.serve import Proxy
from raw_client import a_request, ask, connected
from upstreams import Upstream


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
async def test_it_goes_on_as_one_less(proxy: Proxy, upstream: Upstream, method: str) -> None:
    await ask(proxy.url, a_request(method, f"{upstream.url}/x", "Max-Forwards: 3"))
    await ask(proxy.url, a_request(method, f"{upstream.url}/x", "Max-Forwards: 1"))
    await ask(proxy.url, a_request(method, f"{upstream.url}/x"))

    assert [seen.all("Max-Forwards") for seen in upstream.requests] == [["2"], ["0"], []]


async def test_other_methods_are_not_counted(proxy: Proxy, upstream: Upstream) -> None:
    reply = await ask(proxy.url, a_request("GET", f"{upstream.url}/x", "Max-Forwards: 0"))

    assert reply.status == 201
    assert upstream.requests[0].all("Max-Forwards") == ["0"]


async def test_options_that_end_here(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(mounts={"/api": upstream.url})

    async with connected(proxy.url) as client:
        for target in (upstream.url, f"{upstream.url}/x", "/api/x"):
            reply = await client.ask(a_request("OPTIONS", target, "Max-Forwards: 0"))

            assert (reply.status, reply.body) == (200, b"")
            assert reply.one("Content-Length") == "0"
            assert "POST" in reply.one("Allow")
            assert reply.one("Proxy-Status") == "onceproxy"
    assert upstream.requests == []


async def test_a_trace_that_ends_here_is_reflected_without_its_secrets(
    proxy: Proxy, upstream: Upstream
) -> None:
    lines = ("Max-Forwards: 0", "X-Seen: 1", "Via: 1.1 laptop")
    secrets = (
        "Authorization: Bearer canary",
        "Cookie: canary=canary",
        "X-Api-Key: canary",
        "Proxy-Authorization: Basic Y2FuYXJ5OmNhbmFyeQ==",
    )
    reply = await ask(proxy.url, a_request("TRACE", f"{upstream.url}/x", *lines, *secrets))

    assert (reply.status, reply.one("Content-Type")) == (200, "message/http")
    assert reply.body == a_request("TRACE", f"{upstream.url}/x", *lines)
    assert upstream.requests == []


@pytest.mark.parametrize("lines", [("x",), ("-1",), ("1", "1")])
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
async def test_what_is_no_number(
    proxy: Proxy, upstream: Upstream, method: str, lines: tuple[str, ...]
) -> None:
    fields = [f"Max-Forwards: {line}" for line in lines]
    reply = await ask(proxy.url, a_request(method, f"{upstream.url}/x", *fields))

    assert (reply.status, reply.slug) == (400, "bad-request")
    assert upstream.requests == []


async def test_a_trace_has_no_body(proxy: Proxy, upstream: Upstream) -> None:
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("TRACE", f"{upstream.url}/x", body=b"x"))

        assert (reply.status, reply.slug) == (400, "bad-request")
        assert await client.ended()
    assert upstream.requests == []
