"""Requests that are no HTTP, or that can be read in two ways: each gets a problem, and nothing is sent."""

from __future__ import annotations

import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.serve import Proxy
from raw_client import a_request, ask, connected
from upstreams import Upstream

HOST = b"Host: 127.0.0.1\r\n"


def over(url: str, lines: bytes, body: bytes = b"") -> bytes:
    return b"POST %s/pay HTTP/1.1\r\n" % url.encode() + HOST + lines + b"\r\n" + body


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        b"Content-Length: 1\r\nContent-Length: 1\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Content-Length: 1, 1\r\n",
        b"Content-Length: +1\r\n",
        b"Content-Length: 0x1\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 1_0\r\n",
        b"Content-Length: \r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"X-A : 1\r\n",
        b"X-A\r\n",
        b": 1\r\n",
        b" X-A: 1\r\n",
        b"X-A: 1\r\n folded\r\n",
        b"X-A: 1\nX-B: 2\r\n",
        b"X-A: 1\rX-B: 2\r\n",
        b"X-A: \0\r\n",
        b"X-A: \x01\r\n",
        b"X(A): 1\r\n",
        b"X-\x85: 1\r\n",
        b"Host: twice\r\n",
        b"Connection: close, Authorization\r\nAuthorization: Bearer t\r\n",
        b"Connection: Idempotency-Key\r\nIdempotency-Key: k\r\n",
        b"Connection: content-length\r\nContent-Length: 1\r\n",
        b"Onceproxy-Action: 1\r\nOnceproxy-Action: 2\r\n",
        b"Proxy-Authorization: Bearer t\r\n",
        b"Proxy-Authorization: Basic !!!\r\n",
    ],
)
async def test_headers(proxy: Proxy, upstream: Upstream, receipts: Receipts, lines: bytes) -> None:
    async with connected(proxy.url) as client:
        framed = b"length" in lines.lower() or b"encoding" in lines.lower()
        await client.send(over(upstream.url, lines, b"1\r\na\r\n0\r\n\r\n" if framed else b""))
        reply = await client.reply()

        assert (reply.status, reply.slug) == (400, "bad-request")
        assert "Nothing was sent" in reply.problem()["detail"]
        assert reply.all("Connection") == ["close"]
        assert await client.ended()
    assert upstream.requests == []
    assert await receipts() == []


@pytest.mark.parametrize(
    "first",
    [
        b"POST {}/pay\r\n",
        b"POST {}/pay HTTP/2.0\r\n",
        b"POST {}/pay HTTP/1.2\r\n",
        b"POST {}/pay HTTP/1.1 \r\n",
        b"POST {}/pay pay HTTP/1.1\r\n",
        b"POST {}/pay\tx HTTP/1.1\r\n",
        b"POST {}/pay#part HTTP/1.1\r\n",
        b"P\0ST {}/pay HTTP/1.1\r\n",
        b"POST /pay HTTP/1.1\r\n",
        b"POST * HTTP/1.1\r\n",
        b"POST pay HTTP/1.1\r\n",
        b"POST ftp://127.0.0.1/pay HTTP/1.1\r\n",
        b"POST http:/pay HTTP/1.1\r\n",
        b"POST http:///pay HTTP/1.1\r\n",
        b"POST http://user:secret@127.0.0.1/pay HTTP/1.1\r\n",
        b"POST http://127.0.0.1:0/pay HTTP/1.1\r\n",
        b"POST http://127.0.0.1:65536/pay HTTP/1.1\r\n",
        b"POST http://127.0.0.1:/pay HTTP/1.1\r\n",
        b"POST http://127.0.0.1:http/pay HTTP/1.1\r\n",
        b"POST http://2130706433/pay HTTP/1.1\r\n",
        b"POST http://127.1/pay HTTP/1.1\r\n",
        b"POST http://0177.0.0.1/pay HTTP/1.1\r\n",
        b"POST http://a..b/pay HTTP/1.1\r\n",
        b"POST http://a b/pay HTTP/1.1\r\n",
        b"POST http://[::1/pay HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
        b"\x05\x01\x00\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"GET /\r\n",
    ],
)
async def test_request_lines(proxy: Proxy, upstream: Upstream, receipts: Receipts, first: bytes) -> None:
    async with connected(proxy.url) as client:
        line = first.replace(b"{}", upstream.url.encode())
        await client.send(line + HOST + b"Content-Length: 1\r\n\r\n1")
        reply = await client.reply()

        assert (reply.status, reply.slug) == (400, "bad-request")
        assert "secret" not in reply.body.decode()
        assert await client.ended()
    assert upstream.requests == []
    assert await receipts() == []


@pytest.mark.parametrize(
    "target",
    [
        b"example.com",
        b"example.com:",
        b"example.com:0",
        b"example.com:65536",
        b"example.com:http",
        b"user@example.com:443",
        b"example.com:443/path",
        b"http://example.com:443",
        b":443",
        b"/",
        b"*",
        b"127.1:443",
        b"[::1:443",
    ],
)
async def test_connect_targets(proxy: Proxy, target: bytes) -> None:
    async with connected(proxy.url) as client:
        await client.send(b"CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        reply = await client.reply(to="CONNECT")

        assert (reply.status, reply.slug) == (400, "bad-request")
        assert await client.ended()


@pytest.mark.parametrize("line", ["Content-Length: 1", "Transfer-Encoding: chunked"])
async def test_a_connect_has_no_body(proxy: Proxy, line: str) -> None:
    reply = await ask(proxy.url, a_request("CONNECT", "example.com:443", "Host: example.com:443", line))

    assert (reply.status, reply.slug) == (400, "bad-request")


@pytest.mark.parametrize("lines", [b"", b"Host: a\r\nHost: b\r\n"])
async def test_host_has_to_be_there_once(proxy: Proxy, upstream: Upstream, lines: bytes) -> None:
    request = b"POST %s/pay HTTP/1.1\r\n" % upstream.url.encode() + lines + b"Content-Length: 0\r\n\r\n"

    reply = await ask(proxy.url, request)

    assert (reply.status, reply.slug) == (400, "bad-request")
    assert upstream.requests == []


async def test_http_1_0_has_no_transfer_coding(proxy: Proxy, upstream: Upstream) -> None:
    request = a_request("POST", f"{upstream.url}/pay", "Transfer-Encoding: chunked", version="HTTP/1.0")

    reply = await ask(proxy.url, request + b"1\r\na\r\n0\r\n\r\n")

    assert (reply.status, reply.slug) == (400, "bad-request")
    assert upstream.requests == []


async def test_a_coding_that_is_not_understood(proxy: Proxy, upstream: Upstream) -> None:
    request = a_request("POST", f"{upstream.url}/pay", "Transfer-Encoding: gzip, chunked")

    reply = await ask(proxy.url, request + b"1\r\na\r\n0\r\n\r\n")

    assert (reply.status, reply.slug) == (501, "unsupported")
    assert upstream.requests == []


@pytest.mark.parametrize("part", ["target", "line", "lines"])
async def test_a_head_that_is_too_large(proxy: Proxy, upstream: Upstream, part: str) -> None:
    long = "x" * 70_000
    target = f"{upstream.url}/{long if part == 'target' else ''}"
    lines = {"target": (), "line": (f"X-A: {long}",), "lines": tuple(f"X-{n}: 1" for n in range(200))}[part]

    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("POST", target, *lines, body=b""))

        expected = (414, "target-too-long") if part == "target" else (431, "headers-too-large")
        assert (reply.status, reply.slug) == expected
        assert await client.ended()
    assert upstream.requests == []


@pytest.mark.parametrize("method", ["post", "BREW", "POSTS", "Get"])
async def test_methods_that_are_not_known(proxy: Proxy, upstream: Upstream, method: str) -> None:
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request(method, f"{upstream.url}/pay", body=b""))

        assert (reply.status, reply.slug) == (501, "unsupported")
        assert await client.ended()
    assert upstream.requests == []


async def test_a_host_that_is_none(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(mounts={"/api": upstream.url})

    for target in (f"{upstream.url}/pay", "/api/pay"):
        async with connected(proxy.url) as client:
            reply = await client.ask(a_request("POST", target, "Host: a b@c/", body=b""))

            assert (reply.status, reply.slug) == (400, "bad-request")
            assert await client.ended()
    assert upstream.requests == []


async def test_a_bad_request_behind_a_good_one_does_not_harm_it(proxy: Proxy, upstream: Upstream) -> None:
    async with connected(proxy.url) as client:
        first = await client.ask(a_request("POST", f"{upstream.url}/pay", body=b"1"))
        second = await client.ask(b"POST /\x00 HTTP/1.1\r\n\r\n")

        assert first.status == 201
        assert (second.status, second.slug) == (400, "bad-request")
        assert await client.ended()
    assert upstream.executions == 1


async def test_what_comes_in_one_piece_with_a_bad_request_is_sent_or_refused(
    proxy: Proxy, upstream: Upstream
) -> None:
    async with connected(proxy.url) as client:
        good = a_request("POST", f"{upstream.url}/pay", body=b"1")
        reply = await client.ask(good + b"POST /\x00 HTTP/1.1\r\n\r\n")

    assert upstream.executions == (1 if reply.status == 201 else 0)
    assert reply.status in (201, 400)
