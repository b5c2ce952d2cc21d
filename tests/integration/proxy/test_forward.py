"""Forward requests: a proxy's absolute-form targets (RFC 9112 §3.2.2)."""

from __future__ import annotations

import asyncio

import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.serve import Proxy
from raw_client import a_request, ask, connected, post
from upstreams import Conversation, Upstream, answer, raw


async def test_a_post_reaches_the_upstream_in_origin_form(proxy: Proxy, upstream: Upstream) -> None:
    reply = await post(proxy.url, f"{upstream.url}/v1/charges?a=1&b=%2F", "Content-Type: application/json")

    assert (reply.status, reply.reason, reply.body) == (201, "Made", b'{"target": "/v1/charges?a=1&b=%2F"}')
    (seen,) = upstream.requests
    assert (seen.method, seen.target, seen.body) == ("POST", "/v1/charges?a=1&b=%2F", b'{"amount": 100}')
    assert seen.all("Host") == [f"127.0.0.1:{upstream.port}"]


async def test_host_is_made_from_the_target(proxy: Proxy, upstream: Upstream) -> None:
    reply = await post(proxy.url, f"{upstream.url}/x", "Host: elsewhere.example")

    assert reply.status == 201
    assert upstream.requests[0].all("Host") == [f"127.0.0.1:{upstream.port}"]


async def test_headers_go_on_as_they_are_but_for_those_between_client_and_proxy(
    proxy: Proxy, upstream: Upstream
) -> None:
    await post(
        proxy.url,
        f"{upstream.url}/x",
        "X-Twice: b",
        "x-tWICE: a",
        "Authorization: Bearer t",
        'Idempotency-Key: "quoted"',
        "Proxy-Authorization: Basic cnVuOnB3",
        "Proxy-Connection: keep-alive",
        "Connection: keep-alive, X-Mine",
        "X-Mine: 1",
        "TE: trailers",
        "Onceproxy-Action: again",
    )

    (seen,) = upstream.requests
    assert seen.headers[1:] == (
        ("X-Twice", "b"),
        ("x-tWICE", "a"),
        ("Authorization", "Bearer t"),
        ("Idempotency-Key", '"quoted"'),
        ("Via", seen.all("Via")[0]),
        ("Content-Length", "15"),
    )


async def test_a_connection_serves_several_requests(proxy: Proxy, upstream: Upstream) -> None:
    async with connected(proxy.url) as client:
        first = await client.ask(a_request("POST", f"{upstream.url}/1", body=b"1"))
        second = await client.ask(a_request("GET", f"{upstream.url}/2"))
        third = await client.ask(a_request("POST", f"{upstream.url}/1", body=b"1"))

    assert [first.body, second.body, third.body] == [
        b'{"target": "/1"}',
        b'{"target": "/2"}',
        b'{"target": "/1"}',
    ]
    assert not first.replayed
    assert third.replayed


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_an_answer_without_a_body_gives_its_connection_back(
    proxy: Proxy, upstream: Upstream, method: str, status: int
) -> None:
    upstream.always = answer(status)
    async with connected(proxy.url) as client:
        for _ in range(3):
            assert (await client.ask(a_request(method, f"{upstream.url}/x"))).status == status
    assert (len(upstream.requests), upstream.connections) == (3, 1)


async def test_pipelined_requests_are_answered_in_order(proxy: Proxy, upstream: Upstream) -> None:
    async with connected(proxy.url) as client:
        await client.send(b"".join(a_request("POST", f"{upstream.url}/{n}", body=b"x") for n in range(5)))
        bodies = [(await client.reply()).body for _ in range(5)]

    assert bodies == [b'{"target": "/%d"}' % n for n in range(5)]


async def test_connection_close_is_granted(proxy: Proxy, upstream: Upstream) -> None:
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("POST", f"{upstream.url}/", "Connection: close", body=b""))

        assert reply.all("Connection") == ["close"]
        assert await client.ended()


async def test_an_old_client_gets_an_answer_that_it_can_read(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", then="keep")
    )
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("GET", f"{upstream.url}/", version="HTTP/1.0"))

        assert reply.all("Transfer-Encoding") == []
        assert reply.body == b"abc"


@pytest.mark.parametrize("line", ["Connection: keep-alive", "Proxy-Connection: keep-alive"])
async def test_no_connection_of_an_old_client_is_kept(proxy: Proxy, upstream: Upstream, line: str) -> None:
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("POST", f"{upstream.url}/", line, body=b"", version="HTTP/1.0"))

        assert (reply.status, reply.all("Connection")) == (201, ["close"])
        assert await client.ended()
    assert upstream.requests[0].raw.startswith(b"POST / HTTP/1.1\r\n")


async def test_reads_pass_through_each_time(proxy: Proxy, upstream: Upstream, receipts: Receipts) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "TRACE") * 2:
        reply = await ask(proxy.url, a_request(method, f"{upstream.url}/read"))
        assert reply.status == 201
        assert reply.all("Onceproxy-Request-Id") == []

    assert len(upstream.requests) == 8
    assert await receipts() == []


async def test_options_for_the_whole_server_has_a_star(proxy: Proxy, upstream: Upstream) -> None:
    await ask(proxy.url, a_request("OPTIONS", upstream.url))

    assert upstream.requests[0].target == "*"


async def test_other_methods_than_reads_are_guarded(proxy: Proxy, upstream: Upstream) -> None:
    for method in ("PUT", "PATCH", "DELETE", "POST", "PURGE"):
        first = await ask(proxy.url, a_request(method, f"{upstream.url}/{method}", body=b"x"))
        second = await ask(proxy.url, a_request(method, f"{upstream.url}/{method}", body=b"x"))
        assert not first.replayed
        assert second.replayed

    assert upstream.executions == 5


async def test_a_read_streams(proxy: Proxy, upstream: Upstream) -> None:
    gate = asyncio.Event()

    async def in_two_pieces(talk: Conversation) -> None:
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        await gate.wait()
        await talk.send(b"def")

    upstream.will(in_two_pieces)
    async with connected(proxy.url) as client:
        await client.send(a_request("GET", f"{upstream.url}/stream"))
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert await client.read(3) == b"abc"  # while the upstream holds the rest back
        gate.set()
        assert await client.read(3) == b"def"

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_read_that_is_cut_is_cut_for_the_client(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"))
    async with connected(proxy.url) as client:
        await client.send(a_request("GET", f"{upstream.url}/stream"))
        rest = await client.reader.read()

    assert b"\r\nabc\r\n" in rest
    assert not rest.endswith(b"0\r\n\r\n")


async def test_two_proxies_answer_from_one_database(start_proxy: StartProxy, upstream: Upstream) -> None:
    one, other = await start_proxy(), await start_proxy()

    first = await post(one.url, f"{upstream.url}/pay")
    second = await post(other.url, f"{upstream.url}/pay")

    assert second.replayed
    assert second.own == first.own
    assert upstream.executions == 1
