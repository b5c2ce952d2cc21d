"""Upgrades: after a 101 the connection carries opaque bytes. Runs on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from integration.proxy.conftest import Receipts, StartProxy, client_context
from onceproxy.serve import Proxy
from raw_client import RawClient, a_request, ask, connected
from upstreams import Behaviour, Conversation, Upstream, answer

WEBSOCKET = (
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


def switch(protocol: str) -> Behaviour:
    """Switch to a protocol in which both sides speak at once, and each word is said back in upper case."""

    async def behave(talk: Conversation) -> None:
        head = f"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\nX-Mine: 1\r\n\r\n"
        await talk.send(head.encode() + b"\0hello")
        while data := await talk.reader.read(65536):
            await talk.send(data.upper())
        talk.keep = False

    return behave


@asynccontextmanager
async def by(way: str, trusting: StartProxy, upstream: Upstream) -> AsyncIterator[tuple[RawClient, str]]:
    """A connection that leads to ``upstream``, and the target of its root."""
    proxy = await trusting(mounts={"/mounted": upstream.url})
    async with connected(proxy.url) as client:
        if way == "tunnel":
            await client.connect(urlsplit(upstream.url).netloc)
            await client.secure(client_context(proxy), "localhost")
        yield client, {"forward": upstream.url, "mount": "/mounted", "tunnel": ""}[way]


@pytest.mark.parametrize("way", ["forward", "mount", "tunnel"])
async def test_a_websocket_is_relayed(
    trusting: StartProxy, upstream: Upstream, secure_upstream: Upstream, receipts: Receipts, way: str
) -> None:
    where = secure_upstream if way == "tunnel" else upstream
    where.will(switch("websocket"))
    async with by(way, trusting, where) as (client, root):
        host = f"Host: {urlsplit(where.url).netloc}"
        reply = await client.ask(a_request("GET", f"{root}/chat", host, *WEBSOCKET))
        assert (reply.status, reply.reason) == (101, "Switching")
        told = (("X-Mine", "1"), ("Connection", "Upgrade"), ("Upgrade", "websocket"))
        assert reply.headers == (*told, ("Via", reply.one("Via")))
        assert await client.read(6) == b"\0hello"
        for word in (b"ping\xff", b"x" * 300_000):
            await client.send(word)
            assert await client.read(len(word)) == word.upper()

    (seen,) = where.requests
    assert seen.target == "/chat"
    assert seen.all("Upgrade") == ["websocket"]
    assert seen.all("Connection") == ["Upgrade"]
    assert seen.all("Sec-WebSocket-Key") == ["dGhlIHNhbXBsZSBub25jZQ=="]
    assert await receipts() == []


@pytest.mark.parametrize("protocol", ["tcp", "SPDY/3.1", "my-own"])
async def test_other_protocols_are_relayed_too(proxy: Proxy, upstream: Upstream, protocol: str) -> None:
    upstream.will(switch(protocol))
    async with connected(proxy.url) as client:
        lines = ("Connection: Upgrade", f"Upgrade: {protocol}, h2c")
        reply = await client.ask(a_request("GET", f"{upstream.url}/x", *lines))
        assert reply.all("Upgrade") == [protocol]
        assert await client.read(6) == b"\0hello"
        await client.send(b"word")
        assert await client.read(4) == b"WORD"

    assert upstream.requests[0].all("Upgrade") == [protocol]


async def test_what_is_said_before_the_101_is_relayed_after_it(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(switch("websocket"))
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("GET", f"{upstream.url}/x", *WEBSOCKET) + b"early")
        assert reply.status == 101
        assert await client.read(11) == b"\0helloEARLY"


async def test_when_one_side_ends_the_other_is_told(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(switch("websocket"))
    async with connected(proxy.url) as client:
        await client.ask(a_request("GET", f"{upstream.url}/x", *WEBSOCKET))
        await client.read(6)
        client.writer.write_eof()
        assert await client.ended()  # the upstream has read the end, and closed


async def test_an_upgrade_that_is_declined_leaves_the_connection_as_it_was(
    proxy: Proxy, upstream: Upstream
) -> None:
    upstream.will(answer(426, b"no"))
    async with connected(proxy.url) as client:
        declined = await client.ask(a_request("GET", f"{upstream.url}/x", *WEBSOCKET))
        after = await client.ask(a_request("POST", f"{upstream.url}/y", body=b"1"))

    assert (declined.status, declined.body) == (426, b"no")
    assert (after.status, after.body) == (201, b'{"target": "/y"}')


@pytest.mark.parametrize("protocol", ["h2c", "HTTP/2.0", "TLS/1.0"])
async def test_what_would_carry_requests_past_the_guard_is_not_asked_for(
    proxy: Proxy, upstream: Upstream, protocol: str
) -> None:
    """Some clients ask for h2c with each request, and are content with HTTP/1.1."""
    lines = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", "HTTP2-Settings: AAMAAABk")
    async with connected(proxy.url) as client:
        replies = [
            await client.ask(a_request("POST", f"{upstream.url}/x", *lines, body=b"1")),
            await client.ask(a_request("GET", f"{upstream.url}/x", *lines)),
            await client.ask(a_request("POST", f"{upstream.url}/x", *lines, body=b"1")),
        ]

    assert [reply.status for reply in replies] == [201, 201, 201]
    assert replies[2].replayed
    for seen in upstream.requests:
        assert seen.all("Upgrade") == seen.all("Connection") == seen.all("HTTP2-Settings") == []


async def test_a_mutation_is_not_upgraded(proxy: Proxy, upstream: Upstream) -> None:
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("POST", f"{upstream.url}/x", *WEBSOCKET, body=b""))

    assert (reply.status, reply.slug) == (501, "unsupported")
    assert upstream.requests == []


async def test_http_1_0_has_no_upgrades(proxy: Proxy, upstream: Upstream) -> None:
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("GET", f"{upstream.url}/x", *WEBSOCKET, version="HTTP/1.0"))

    assert reply.status == 201
    assert upstream.requests[0].all("Upgrade") == []


async def test_the_upstream_is_let_go_where_the_client_left_before_the_switch(
    proxy: Proxy, upstream: Upstream
) -> None:
    asked, left, let_go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def behave(talk: Conversation) -> None:
        asked.set()
        await left.wait()
        await talk.send(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        talk.keep = False
        while await talk.reader.read(65536):
            pass
        let_go.set()

    upstream.will(behave)
    async with connected(proxy.url) as client:
        await client.send(a_request("GET", f"{upstream.url}/chat", *WEBSOCKET))
        await asked.wait()
    # What comes later than the client's end has its answer: by then that end was seen.
    await ask(proxy.url, a_request("GET", "/"))
    left.set()

    async with asyncio.timeout(20):
        await let_go.wait()
