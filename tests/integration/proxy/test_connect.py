"""CONNECT with TLS interception, and plain HTTP inside CONNECT. Runs on both event loops."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import pytest

from integration.proxy.conftest import Receipts, StartProxy, client_context
from onceproxy.serve import Proxy
from raw_client import RawClient, a_request, connected
from upstreams import Upstream, after, answer


def authority(upstream: Upstream) -> str:
    return urlsplit(upstream.url).netloc


async def tunnel(client: RawClient, proxy: Proxy, upstream: Upstream) -> None:
    """Open a tunnel to ``upstream`` and shake hands with the proxy inside."""
    assert (await client.connect(authority(upstream))).status == 200
    await client.secure(client_context(proxy), "localhost")


async def test_the_tunnel_is_opened_with_a_certificate_of_the_local_ca(
    trusting: StartProxy, secure_upstream: Upstream
) -> None:
    proxy = await trusting()
    async with connected(proxy.url) as client:
        established = await client.connect(authority(secure_upstream))
        agreed = await client.secure(client_context(proxy, "h2", "http/1.1"), "localhost")
        reply = await client.ask(a_request("POST", "/pay", f"Host: {authority(secure_upstream)}", body=b"1"))

    assert established.head == b"HTTP/1.1 200 Connection established\r\n\r\n"
    assert agreed.selected_alpn_protocol() == "http/1.1"
    assert agreed.version() in ("TLSv1.2", "TLSv1.3")
    assert reply.status == 201
    (seen,) = secure_upstream.requests
    assert (seen.target, seen.body, seen.all("Host")) == ("/pay", b"1", [authority(secure_upstream)])


async def test_a_tunnel_serves_several_requests_and_their_copies(
    trusting: StartProxy, secure_upstream: Upstream
) -> None:
    proxy = await trusting()
    host = f"Host: {authority(secure_upstream)}"
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        first = await client.ask(a_request("POST", "/pay", host, body=b"1"))
        other = await client.ask(a_request("POST", "/pay", host, body=b"2"))
        read = await client.ask(a_request("GET", "/pay", host))
        again = await client.ask(a_request("POST", "/pay", host, body=b"1"))
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        once_more = await client.ask(a_request("POST", "/pay", host, body=b"1"))

    assert [reply.replayed for reply in (first, other, read, again, once_more)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    assert again.own == once_more.own == first.own
    assert secure_upstream.executions == 2


async def test_an_action_is_the_same_by_forward_and_by_tunnel(
    trusting: StartProxy, secure_upstream: Upstream
) -> None:
    proxy = await trusting()
    async with connected(proxy.url) as client:
        first = await client.ask(a_request("POST", f"{secure_upstream.url}/pay", body=b"1"))
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        host = f"Host: {authority(secure_upstream)}"
        second = await client.ask(a_request("POST", "/pay", host, body=b"1"))

    assert second.replayed
    assert second.one("Onceproxy-Request-Id") == first.one("Onceproxy-Request-Id")
    assert secure_upstream.executions == 1


async def test_who_asks_is_told_by_the_connect(trusting: StartProxy, secure_upstream: Upstream) -> None:
    proxy = await trusting()
    request_ids = []
    for user in ("cnVuLTE6cA==", "cnVuLTI6cA==", "cnVuLTE6b3RoZXI="):  # run-1:p, run-2:p, run-1:other
        async with connected(proxy.url) as client:
            await client.connect(authority(secure_upstream), f"Proxy-Authorization: Basic {user}")
            await client.secure(client_context(proxy), "localhost")
            host = f"Host: {authority(secure_upstream)}"
            reply = await client.ask(a_request("POST", "/pay", host, body=b"1"))
            request_ids.append(reply.one("Onceproxy-Request-Id"))

    assert request_ids[0] == request_ids[2] != request_ids[1]
    assert secure_upstream.executions == 2
    assert secure_upstream.requests[0].all("Proxy-Authorization") == []


async def test_a_large_body_goes_both_ways(trusting: StartProxy, secure_upstream: Upstream) -> None:
    proxy = await trusting()
    large = bytes(range(256)) * 8192  # 2 MiB
    secure_upstream.will(answer(200, large))
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        reply = await client.ask(a_request("PUT", "/f", f"Host: {authority(secure_upstream)}", body=large))

    assert secure_upstream.requests[0].body == large
    assert reply.body == large


async def test_plain_http_inside_connect_is_told_by_its_first_byte(proxy: Proxy, upstream: Upstream) -> None:
    host = f"Host: {authority(upstream)}"
    async with connected(proxy.url) as client:
        await client.connect(authority(upstream))
        first = await client.ask(a_request("POST", "/pay", host, body=b"1"))
        again = await client.ask(a_request("POST", f"{upstream.url}/pay", body=b"1"))

    assert first.status == 201
    assert again.replayed
    assert upstream.executions == 1


@pytest.mark.parametrize("secure", [True, False])
async def test_a_client_need_not_wait_for_the_200(
    trusting: StartProxy, upstream: Upstream, secure_upstream: Upstream, secure: bool
) -> None:
    proxy = await trusting()
    where = secure_upstream if secure else upstream
    request = a_request("POST", "/pay", f"Host: {authority(where)}", body=b"1")
    connect = a_request("CONNECT", authority(where), f"Host: {authority(where)}")
    async with connected(proxy.url) as client:
        if not secure:
            await client.send(connect + request)
            assert (await client.reply(to="CONNECT")).status == 200
            assert (await client.reply()).status == 201
            return
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context(proxy).wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        await client.send(connect + outgoing.read())
        assert (await client.reply(to="CONNECT")).status == 200
        hello = await client.reader.read(65536)

    assert hello[0] == 0x16  # the proxy's part of the handshake


async def test_a_hello_that_comes_byte_by_byte_is_understood(
    trusting: StartProxy, secure_upstream: Upstream
) -> None:
    proxy = await trusting()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(proxy).wrap_bio(incoming, outgoing, server_hostname="localhost")
    async with connected(proxy.url) as client:
        await client.connect(authority(secure_upstream))
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    await client.send(bytes([byte]))
                incoming.write(await client.reader.read(65536))

    assert tls.getpeercert()


async def test_the_connect_names_where_all_requests_go(
    trusting: StartProxy, secure_upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await trusting()
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        reply = await client.ask(a_request("POST", "/pay", "Host: elsewhere.example", body=b"1"))

        assert (reply.status, reply.slug) == (400, "bad-request")
        assert await client.ended()
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        assert (await client.ask(a_request("POST", "https://elsewhere.example/", body=b"1"))).status == 400
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        inner = await client.connect(authority(secure_upstream))
        assert (inner.status, inner.slug) == (400, "bad-request")

    assert secure_upstream.requests == []
    assert await receipts() == []


async def test_an_upstream_that_is_not_trusted_gets_nothing(
    proxy: Proxy, secure_upstream: Upstream, receipts: Receipts
) -> None:
    host = f"Host: {authority(secure_upstream)}"
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        reply = await client.ask(a_request("POST", "/pay", host, body=b"1"))

    assert (reply.status, reply.slug) == (502, "upstream-unreachable")
    assert "certificate" in reply.problem()["detail"]
    assert reply.one("Proxy-Status") == "onceproxy;error=tls_certificate_error"
    assert secure_upstream.requests == []
    assert await receipts() == ["released"]


async def test_a_client_that_does_not_trust_the_local_ca_is_let_go(
    proxy: Proxy, secure_upstream: Upstream
) -> None:
    async with connected(proxy.url) as client:
        await client.connect(authority(secure_upstream))
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.secure(ssl.create_default_context(), "localhost")

    assert secure_upstream.requests == []
    async with connected(proxy.url) as client:  # and the proxy goes on
        assert (await client.connect(authority(secure_upstream))).status == 200


async def test_a_client_that_speaks_only_http_2_is_refused(proxy: Proxy, secure_upstream: Upstream) -> None:
    async with connected(proxy.url) as client:
        await client.connect(authority(secure_upstream))
        try:
            agreed = await client.secure(client_context(proxy, "h2"), "localhost")
        except (ssl.SSLError, ConnectionError):
            return
        assert agreed.selected_alpn_protocol() is None  # the client can see that it got no h2


async def test_a_tunnel_in_which_nothing_is_said_is_closed(start_proxy: StartProxy) -> None:
    proxy = await start_proxy(limits={"head_timeout": "50ms"})
    async with connected(proxy.url) as client:
        assert (await client.connect("silent.example:443")).status == 200
        assert await client.ended()


async def test_a_handshake_that_stops_is_given_up(start_proxy: StartProxy) -> None:
    proxy = await start_proxy(limits={"head_timeout": "50ms"})
    async with connected(proxy.url) as client:
        await client.connect("silent.example:443")
        await client.send(b"\x16\x03\x01")
        assert await client.ended()


async def test_the_end_of_a_tunnel_is_told(trusting: StartProxy, secure_upstream: Upstream) -> None:
    proxy = await trusting()
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        host = f"Host: {authority(secure_upstream)}"
        reply = await client.ask(a_request("POST", "/pay", host, "Connection: close", body=b"1"))

        assert reply.all("Connection") == ["close"]
        assert await client.ended()


async def test_a_client_that_leaves_its_tunnel_does_not_stop_the_execution(
    trusting: StartProxy, secure_upstream: Upstream
) -> None:
    proxy = await trusting()
    gate = asyncio.Event()
    secure_upstream.will(after(gate, answer()))
    request = a_request("POST", "/pay", f"Host: {authority(secure_upstream)}", body=b"1")
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        await client.send(request)
        await secure_upstream.arrived(1)
    gate.set()
    async with connected(proxy.url) as client:
        await tunnel(client, proxy, secure_upstream)
        reply = await client.ask(request)

    assert reply.replayed
    assert secure_upstream.executions == 1


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "LocalHost", "a_b.example", "xn--mnchen-3ya.example"])
async def test_the_certificate_is_for_the_name_that_was_asked_for(proxy: Proxy, name: str) -> None:
    where = f"[{name}]:443" if ":" in name else f"{name}:443"
    async with connected(proxy.url) as client:
        assert (await client.connect(where)).status == 200
        await client.secure(client_context(proxy), name)
