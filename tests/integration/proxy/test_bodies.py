"""Request bodies: too large, half there, held back for a 100, or late."""

from __future__ import annotations

import asyncio

import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.serve import Proxy
from raw_client import a_request, ask, connected
from upstreams import Upstream, after, answer

CHUNKED = "Transfer-Encoding: chunked"


async def quiet(proxy: Proxy, upstream: Upstream, receipts: Receipts) -> bool:
    """Say whether nothing was claimed and nothing sent, after the proxy has served some more requests."""
    before = len(upstream.requests)
    for n in range(5):
        await ask(proxy.url, a_request("POST", f"{upstream.url}/probe/{n}", body=b""))
    return (len(upstream.requests), await receipts()) == (before + 5, ["completed"] * 5)


async def test_a_body_over_the_limit_by_its_length(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await start_proxy(limits={"request_body": "1KiB"})
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/pay", "Content-Length: 1025"))
        reply = await client.reply()  # before any of it has come

        assert (reply.status, reply.slug) == (413, "body-too-large")
        assert "limits.request_body" in reply.problem()["detail"]
        assert reply.all("Connection") == ["close"]
        assert await client.ended()
    assert await quiet(proxy, upstream, receipts)


async def test_a_chunked_body_over_the_limit(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await start_proxy(limits={"request_body": "1KiB"})
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/pay", CHUNKED))
        for _ in range(2):
            await client.send(b"300\r\n" + b"x" * 0x300 + b"\r\n")
        reply = await client.reply()  # though the body has no end yet

        assert (reply.status, reply.slug) == (413, "body-too-large")
        assert reply.all("Connection") == ["close"]
        assert await client.ended()
    assert await quiet(proxy, upstream, receipts)


async def test_a_body_at_the_limit_is_sent(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(limits={"request_body": "1KiB"})

    assert (await ask(proxy.url, a_request("POST", f"{upstream.url}/1", body=b"x" * 1024))).status == 201
    chunked = a_request("POST", f"{upstream.url}/2", CHUNKED) + b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"
    assert (await ask(proxy.url, chunked)).status == 201
    assert [len(seen.body) for seen in upstream.requests] == [1024, 1024]
    assert [seen.all("Content-Length") for seen in upstream.requests] == [["1024"], ["1024"]]


async def test_reads_have_no_limit(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(limits={"request_body": "1KiB"})

    assert (await ask(proxy.url, a_request("GET", f"{upstream.url}/q", body=b"x" * 5000))).status == 201
    assert len(upstream.requests[0].body) == 5000


@pytest.mark.parametrize(
    "sent",
    [
        a_request("POST", "{}/pay", "Content-Length: 10") + b"12345",
        a_request("POST", "{}/pay", CHUNKED) + b"5\r\n12345\r\n",
        a_request("POST", "{}/pay", CHUNKED) + b"5\r\n12345\r\n0\r\n",
        a_request("POST", "{}/pay", CHUNKED) + b"5\r\n123",
    ],
)
@pytest.mark.parametrize("half_open", [True, False])
async def test_half_a_body_is_no_request(
    proxy: Proxy, upstream: Upstream, receipts: Receipts, sent: bytes, half_open: bool
) -> None:
    async with connected(proxy.url) as client:
        await client.send(sent.replace(b"{}", upstream.url.encode()))
        if half_open:
            client.writer.write_eof()
            await client.reader.read()  # an answer or none: there is nobody to blame but the client
    assert await quiet(proxy, upstream, receipts)


@pytest.mark.parametrize(
    "body",
    [b"zz\r\n", b"-1\r\n", b"3\r\nabcd\r\n", b"3\nabc\n0\n\n", b"fffffffffffffffff\r\n", b"\r\n0\r\n\r\n"],
)
async def test_chunks_that_are_none(
    proxy: Proxy, upstream: Upstream, receipts: Receipts, body: bytes
) -> None:
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/pay", CHUNKED) + body)
        reply = await client.reply()

        assert (reply.status, reply.slug) == (400, "bad-request")
        assert await client.ended()
    async with connected(proxy.url) as client:  # the same when the head has come before
        await client.send(a_request("POST", f"{upstream.url}/pay", CHUNKED))
        await ask(proxy.url, a_request("GET", f"{upstream.url}/"))
        await client.send(body)
        assert (await client.reply()).status == 400
    assert await quiet(proxy, upstream, receipts)


async def test_trailers_are_dropped(proxy: Proxy, upstream: Upstream) -> None:
    body = b"1\r\na\r\n0\r\nIdempotency-Key: k\r\nX-Trailer: 1\r\n\r\n"

    reply = await ask(proxy.url, a_request("POST", f"{upstream.url}/pay", CHUNKED) + body)

    assert reply.status == 201
    assert upstream.requests[0].all("Idempotency-Key") == upstream.requests[0].all("X-Trailer") == []
    assert upstream.requests[0].body == b"a"


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("framing", ["Content-Length: 3", CHUNKED])
async def test_a_body_that_is_held_back_is_asked_for(
    proxy: Proxy, upstream: Upstream, method: str, framing: str
) -> None:
    async with connected(proxy.url) as client:
        await client.send(a_request(method, f"{upstream.url}/pay", "Expect: 100-Continue", framing))
        interim = await client.reply(to=method)
        assert interim.head == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"abc" if framing != CHUNKED else b"3\r\nabc\r\n0\r\n\r\n")
        assert (await client.reply(to=method)).status == 201

    assert upstream.requests[0].body == b"abc"
    assert upstream.requests[0].all("Expect") == []


async def test_no_100_where_none_is_needed(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(limits={"request_body": "1KiB"})
    expect, url = "Expect: 100-continue", f"{upstream.url}/pay"

    too_large = await ask(proxy.url, a_request("POST", url, expect, "Content-Length: 1025"))
    assert too_large.status == 413  # the first thing that is said
    old = await ask(proxy.url, a_request("POST", url, expect, body=b"1", version="HTTP/1.0"))
    assert old.status == 201
    bodiless = await ask(proxy.url, a_request("DELETE", url, expect))
    assert bodiless.status == 201


async def test_another_expectation_is_refused(proxy: Proxy, upstream: Upstream, receipts: Receipts) -> None:
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("POST", f"{upstream.url}/pay", "Expect: the-best", body=b"1"))

        assert (reply.status, reply.slug) == (417, "expectation-failed")
        assert await client.ended()
    assert await quiet(proxy, upstream, receipts)


@pytest.mark.parametrize("begun", [b"", b"POST http://127.0.0.1/", a_request("GET", "http://a/")[:-2]])
async def test_a_head_that_does_not_arrive_is_given_up(start_proxy: StartProxy, begun: bytes) -> None:
    proxy = await start_proxy(limits={"head_timeout": "50ms"})
    async with connected(proxy.url) as client:
        await client.send(begun)
        reply = await client.reply()

        assert (reply.status, reply.slug) == (408, "request-timeout")
        assert "0.05 seconds" in reply.problem()["detail"]
        assert reply.all("Connection") == ["close"]
        assert await client.ended()


async def test_a_later_head_that_does_not_arrive_is_given_up(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(limits={"head_timeout": "50ms"})
    async with connected(proxy.url) as client:
        assert (await client.ask(a_request("POST", f"{upstream.url}/1", body=b"1"))).status == 201
        await client.send(b"POST ")
        assert (await client.reply()).status == 408
        assert await client.ended()


async def test_a_slow_answer_is_no_slow_head(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(limits={"head_timeout": "50ms"})
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    async with connected(proxy.url) as client, connected(proxy.url) as silent:
        await client.send(a_request("POST", f"{upstream.url}/1", body=b"1"))
        await upstream.arrived(1)
        assert (await silent.reply()).status == 408  # so the time for a head is over
        gate.set()
        assert (await client.reply()).status == 201


async def test_an_idle_connection_is_closed_without_a_word(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(limits={"idle_timeout": "50ms"})
    async with connected(proxy.url) as client:
        assert (await client.ask(a_request("POST", f"{upstream.url}/1", body=b"1"))).status == 201
        assert await client.ended()
