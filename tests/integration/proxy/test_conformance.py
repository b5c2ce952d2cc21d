"""What RFC 9110 and 9112 ask of a proxy, on the wire, where no other file shows it (docs/conformance.md)."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from urllib.parse import urlsplit

import pytest

from integration.proxy.conftest import Receipts, StartProxy, client_context
from onceproxy.serve import Proxy
from raw_client import PATIENCE, a_request, ask, connected, post
from upstreams import Conversation, Upstream, after, answer, raw

CHUNKED = "Transfer-Encoding: chunked"
NOT_TO_BE_MERGED = (
    *("Content-Length: 9", "Transfer-Encoding: chunked", "Host: elsewhere.example", "Trailer: X"),
    *("Authorization: Bearer stolen", "Idempotency-Key: k", "Onceproxy-Action: a", "Via: 1.1 x"),
)


@pytest.mark.parametrize("line", ["Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked,", CHUNKED])
async def test_a_transfer_coding_is_never_copied(proxy: Proxy, upstream: Upstream, line: str) -> None:
    """A list may have empty members (RFC 9110 §5.6.1); many read it otherwise: refused, or framed anew."""
    request = a_request("POST", f"{upstream.url}/pay", line) + b"1\r\na\r\n0\r\n\r\n"

    reply = await ask(proxy.url, request)

    assert reply.status in ((201,) if line == CHUNKED else (400, 501))
    assert all(seen.all("Transfer-Encoding") == [] and seen.body == b"a" for seen in upstream.requests)
    assert len(upstream.requests) == (reply.status == 201)


async def test_a_connect_goes_where_its_target_says(trusting: StartProxy, secure_upstream: Upstream) -> None:
    proxy = await trusting()
    where = urlsplit(secure_upstream.url).netloc
    async with connected(proxy.url) as client:
        opened = await client.ask(a_request("CONNECT", where, "Host: elsewhere.example:443"))
        assert opened.status == 200
        assert opened.all("Content-Length") == opened.all("Transfer-Encoding") == []
        await client.secure(client_context(proxy), "localhost")
        assert (await client.ask(a_request("GET", "/x", f"Host: {where}"))).status == 201

    assert secure_upstream.requests[0].all("Host") == [where]


async def test_a_hello_that_names_another_host_than_the_connect_is_refused(
    trusting: StartProxy, secure_upstream: Upstream
) -> None:
    proxy = await trusting()
    blind = client_context(proxy)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    async with connected(proxy.url) as client:
        await client.connect(urlsplit(secure_upstream.url).netloc)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await client.secure(blind, "elsewhere.example")

    assert secure_upstream.connections == 0


@pytest.mark.parametrize("trailer", NOT_TO_BE_MERGED)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_trailer_is_no_header(proxy: Proxy, upstream: Upstream, trailer: str, method: str) -> None:
    body = b"1\r\na\r\n0\r\n" + trailer.encode() + b"\r\n\r\n"

    reply = await ask(proxy.url, a_request(method, f"{upstream.url}/pay", CHUNKED) + body)

    name, _, value = trailer.partition(": ")
    assert reply.status in (201, 400)
    assert all(value not in seen.all(name) for seen in upstream.requests if value != "chunked")
    assert all(seen.body == b"a" for seen in upstream.requests)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_trailer_of_an_answer_is_dropped(proxy: Proxy, upstream: Upstream, method: str) -> None:
    upstream.will(
        raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\n"
            b"X-Sum: 1\r\nSet-Cookie: a=1\r\n\r\n",
            then="keep",
        )
    )
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request(method, f"{upstream.url}/x"))
        assert reply.body == b"a"
        for name in ("Trailer", "X-Sum", "Set-Cookie"):
            assert reply.all(name) == []
        assert (await client.ask(a_request("GET", f"{upstream.url}/next"))).status == 201


async def test_pipelined_requests_wait_for_the_one_at_work(proxy: Proxy, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    async with connected(proxy.url) as client:
        for n in range(3):
            await client.send(a_request("POST", f"{upstream.url}/{n}", body=b"x"))
        await upstream.arrived(1)
        # Whatever would go on beside the first one had this whole exchange to do so.
        assert (await post(proxy.url, f"{upstream.url}/beside")).status == 201
        assert [seen.target for seen in upstream.requests] == ["/0", "/beside"]
        gate.set()
        bodies = [(await client.reply()).body for _ in range(3)]

    assert bodies == [b'{"target": "/%d"}' % n for n in range(3)]


async def test_a_flood_of_pipelined_requests_is_held_up(proxy: Proxy, upstream: Upstream) -> None:
    """What does not fit is left with the client: its writes block, and each request is answered once."""
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    one = a_request("GET", f"{upstream.url}/x", f"X-Filler: {'f' * 30_000}")
    async with connected(proxy.url) as client:
        client.writer.transport.set_write_buffer_limits(high=0)
        client.writer.write(one * 400)
        flushed = asyncio.ensure_future(client.writer.drain())
        await upstream.arrived(1)
        assert (await post(proxy.url, f"{upstream.url}/beside")).status == 201
        assert not flushed.done(), "12 MB that nobody has asked for are not in the proxy"
        gate.set()
        for _ in range(400):
            assert (await client.reply()).status == 201
        async with asyncio.timeout(PATIENCE):
            await flushed

    assert len(upstream.requests) == 401


async def test_very_many_chunks_are_one_body(proxy: Proxy, upstream: Upstream) -> None:
    pieces = 100_000
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/pay", CHUNKED))
        await client.send(b"1;a=b\r\nx\r\n" * pieces + b"0\r\n\r\n")
        reply = await client.reply()

    assert reply.status == 201
    assert upstream.requests[0].all("Content-Length") == [str(pieces)]


@pytest.mark.parametrize("body", [b"this is no gzip", gzip.compress(bytes(10 << 20))])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_coding_of_the_body_is_not_opened(
    proxy: Proxy, upstream: Upstream, method: str, body: bytes
) -> None:
    reply = await ask(proxy.url, a_request(method, f"{upstream.url}/x", "Content-Encoding: gzip", body=body))

    assert reply.status == 201
    assert upstream.requests[0].body == body
    assert upstream.requests[0].all("Content-Encoding") == ["gzip"]


@pytest.mark.parametrize("line", ['If-Match: "v1"', "If-None-Match: *", "Range: bytes=0-1", 'If-Range: "v1"'])
async def test_conditions_are_the_upstreams_to_judge(proxy: Proxy, upstream: Upstream, line: str) -> None:
    first = await post(proxy.url, f"{upstream.url}/pay", line)
    copy = await post(proxy.url, f"{upstream.url}/pay", line)
    other = await post(proxy.url, f"{upstream.url}/pay")

    assert (first.status, copy.status, copy.replayed) == (201, 201, True), "a copy is no 304, 412 or 206"
    assert not other.replayed or line.startswith(("Range", "If-Range"))
    name, _, value = line.partition(": ")
    assert upstream.requests[0].all(name) == [value]


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_without_content_has_none(
    proxy: Proxy, upstream: Upstream, receipts: Receipts, method: str, status: int
) -> None:
    """What an upstream sends behind such a head is not the answer to the next request."""
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
    upstream.will(raw(b"HTTP/1.1 %d X\r\n\r\n" % status + smuggled, then="keep"))
    async with connected(proxy.url) as client:
        first = await client.ask(a_request(method, f"{upstream.url}/x"))
        second = await client.ask(a_request(method, f"{upstream.url}/y"))

    assert (first.status, first.body, second.status) == (status, b"", 201)
    assert first.all("Transfer-Encoding") == first.all("Content-Length") == []
    assert upstream.connections == 2


async def test_the_answer_to_head_ends_at_its_head(proxy: Proxy, upstream: Upstream) -> None:
    async def behave(talk: Conversation) -> None:
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")

    upstream.will(behave)
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("HEAD", f"{upstream.url}/x"))
        assert (reply.status, reply.one("Content-Length")) == (200, "1000")
        assert (await client.ask(a_request("GET", f"{upstream.url}/y"))).status == 201
