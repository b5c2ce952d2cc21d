"""Tunnels that stay opaque: ``tls.passthrough`` and ``tls.intercept: false``. Runs on both event loops."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.serve import Proxy
from raw_client import a_request, connected
from upstreams import Upstream, raw


@pytest.fixture(params=[{"passthrough": ["local*"]}, {"passthrough": ["LOCALHOST"]}, {"intercept": False}])
async def opaque(start_proxy: StartProxy, request: pytest.FixtureRequest) -> Proxy:
    tls: dict[str, Any] = request.param
    return await start_proxy(tls=tls)


@pytest.fixture
def end_to_end(upstream_ca: trustme.CA) -> ssl.SSLContext:
    """A client's TLS that trusts the upstream's authority and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    upstream_ca.configure_trust(context)
    return context


async def test_the_client_speaks_tls_with_the_upstream_itself(
    opaque: Proxy, secure_upstream: Upstream, end_to_end: ssl.SSLContext, receipts: Receipts
) -> None:
    where = urlsplit(secure_upstream.url).netloc
    async with connected(opaque.url) as client:
        established = await client.connect(where)
        await client.secure(end_to_end, "localhost")
        replies = [await client.ask(a_request("POST", "/pay", f"Host: {where}", body=b"1")) for _ in (1, 2)]

    assert established.head == b"HTTP/1.1 200 Connection established\r\n\r\n"
    assert [reply.status for reply in replies] == [201, 201]
    assert replies[1].all("Onceproxy-Request-Id") == []
    assert secure_upstream.executions == 2  # not guarded: the copy was sent
    assert await receipts() == []


async def test_any_bytes_go_both_ways(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(tls={"intercept": False})
    large = b"\0\xff" * 500_000
    upstream.will(raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large) + large))
    async with connected(proxy.url) as client:
        await client.connect(urlsplit(upstream.url).netloc)
        reply = await client.ask(a_request("POST", "/", body=large))

        assert reply.body == large
        assert await client.ended()  # as the upstream closes, so does the tunnel
    assert upstream.requests[0].body == large


async def test_the_upstream_is_told_that_the_client_has_left(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(tls={"intercept": False})
    async with connected(proxy.url) as client:
        await client.connect(urlsplit(upstream.url).netloc)
        await client.send(a_request("POST", "/", body=b"1"))
        await upstream.arrived(1)
    async with connected(proxy.url) as client:
        await client.connect(urlsplit(upstream.url).netloc)
        client.writer.write_eof()
        assert await client.ended()


async def test_no_upstream_is_a_problem_and_no_tunnel(start_proxy: StartProxy, unused_tcp_port: int) -> None:
    proxy = await start_proxy(tls={"intercept": False})
    async with connected(proxy.url) as client:
        reply = await client.connect(f"127.0.0.1:{unused_tcp_port}")

        assert (reply.status, reply.slug) == (502, "upstream-unreachable")
        assert reply.one("Proxy-Status") == "onceproxy;error=connection_refused"
        assert await client.ended()


async def test_other_hosts_are_still_intercepted(
    start_proxy: StartProxy, secure_upstream: Upstream, end_to_end: ssl.SSLContext
) -> None:
    proxy = await start_proxy(tls={"passthrough": ["*.localhost", "host"]})
    async with connected(proxy.url) as client:
        await client.connect(urlsplit(secure_upstream.url).netloc)
        with pytest.raises(ssl.SSLCertVerificationError):  # it meets the local CA, not the upstream
            await client.secure(end_to_end, "localhost")
