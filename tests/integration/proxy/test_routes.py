"""Routes of the configuration, on the wire: what is guarded, and when a body is read to find out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from integration.proxy.conftest import StartProxy
from listening import Listening
from raw_client import a_request, connected, post
from upstreams import Upstream

CALL = b'{"id": 1, "method": "tools/call"}'
PING = b'{"id": 1, "method": "ping"}'

PINGS: dict[str, Any] = {
    "name": "pings",
    "match": {"path": "/mcp", "json": {"$.method": ["ping", "tools/list"]}},
    "guard": False,
}


async def test_a_route_says_what_is_sent_as_it_is(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(
        routes=[{"name": "search", "match": {"path": "/*/search", "methods": ["POST"]}, "guard": False}]
    )

    for _ in range(2):
        assert not (await post(proxy.url, f"{upstream.url}/v1/search")).replayed
    await post(proxy.url, f"{upstream.url}/v1/charges")
    assert (await post(proxy.url, f"{upstream.url}/v1/charges")).replayed
    assert upstream.executions == 3


async def test_a_route_can_guard_what_reads(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(
        routes=[{"name": "fire", "match": {"path": "/fire", "methods": ["GET"]}, "guard": True}]
    )
    async with connected(proxy.url) as client:
        first = await client.ask(a_request("GET", f"{upstream.url}/fire"))
        again = await client.ask(a_request("GET", f"{upstream.url}/fire"))

    assert again.replayed
    assert again.own == first.own
    assert len(upstream.requests) == 1


async def test_the_body_decides_where_a_route_asks_for_it(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(routes=[PINGS])

    for _ in range(2):
        await post(proxy.url, f"{upstream.url}/mcp", body=PING)
        await post(proxy.url, f"{upstream.url}/mcp", body=CALL)

    assert [seen.body for seen in upstream.requests] == [PING, CALL, PING]
    assert upstream.requests[0].all("Content-Length") == [str(len(PING))]


async def test_a_body_that_was_read_to_decide_goes_on_framed_as_it_came(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(routes=[PINGS])
    large = PING[:-1] + b', "x": "' + b"x" * 100_000 + b'"}'
    async with connected(proxy.url) as client:
        head = f"POST {upstream.url}/mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (large[:70_000], large[70_000:]))
        reply = await client.ask(head + chunks + b"0\r\n\r\n")

    assert reply.status == 201
    (seen,) = upstream.requests
    assert seen.body == large
    assert (seen.all("Transfer-Encoding"), seen.all("Content-Length")) == (["chunked"], [])


async def test_what_is_held_back_until_asked_for_is_asked_for_once(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(routes=[PINGS])
    async with connected(proxy.url) as client:
        head = a_request("POST", f"{upstream.url}/mcp", "Expect: 100-continue", body=PING)
        await client.send(head.removesuffix(PING))
        assert (await client.reply()).status == 100
        await client.send(PING)
        reply = await client.reply()

    assert reply.status == 201
    assert upstream.requests[0].body == PING


async def test_a_body_too_large_to_be_read_is_refused_only_where_it_has_to_be_read(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(
        limits={"request_body": "1KiB"},
        routes=[PINGS, {"name": "rest", "match": {"path": "/**"}, "guard": False}],
    )

    refused = await post(proxy.url, f"{upstream.url}/mcp", body=b"x" * 2000)
    passed = await post(proxy.url, f"{upstream.url}/elsewhere", body=b"x" * 2000)

    assert refused.problem()["type"] == "urn:onceproxy:problem:body-too-large"
    assert passed.status == 201
    assert [seen.target for seen in upstream.requests] == ["/elsewhere"]


async def test_a_body_streams_through_where_no_route_asks_for_it(start_proxy: StartProxy) -> None:
    began = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\nab")
        began.set()
        await reader.readexactly(2)
        writer.write(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    proxy = await start_proxy(routes=[PINGS, {"name": "rest", "match": {"path": "/stream"}, "guard": False}])
    listening = Listening(serve)
    url = f"http://127.0.0.1:{await listening.on_port()}/stream"
    try:
        async with asyncio.timeout(20), connected(proxy.url) as client:
            await client.send(f"POST {url} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab".encode())
            await began.wait()
            await client.send(b"cd")
            reply = await client.reply()
    finally:
        await listening.end()

    assert reply.status == 201


@pytest.mark.parametrize(
    ("allowed", "mode", "guarded", "executions"),
    [
        (True, "off", False, 2),
        (True, "observe", True, 2),
        (True, "enforce", True, 1),
        (False, "off", True, 1),
        (False, "observe", True, 1),
    ],
)
async def test_a_client_may_ask_for_a_milder_mode_where_that_is_allowed(
    start_proxy: StartProxy, upstream: Upstream, allowed: bool, mode: str, guarded: bool, executions: int
) -> None:
    proxy = await start_proxy(defaults={"allow_client_mode": allowed})

    for _ in range(2):
        reply = await post(proxy.url, f"{upstream.url}/pay", f"Onceproxy-Mode: {mode}")
        assert bool(reply.all("Onceproxy-Request-Id")) is guarded

    assert upstream.executions == executions
    assert not any(seen.all("Onceproxy-Mode") for seen in upstream.requests)


async def test_a_client_can_not_ask_for_more_than_the_route_has(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(defaults={"allow_client_mode": True, "mode": "off"})

    reply = await post(proxy.url, f"{upstream.url}/pay", "Onceproxy-Mode: enforce")

    assert not reply.all("Onceproxy-Request-Id")


async def test_a_mode_that_there_is_not_is_refused(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy()

    for lines in (["Onceproxy-Mode: of"], ["Onceproxy-Mode: off", "Onceproxy-Mode: off"]):
        reply = await post(proxy.url, f"{upstream.url}/pay", *lines)
        assert reply.problem()["detail"].startswith("Onceproxy-Mode must be observe or off")
    assert upstream.requests == []
