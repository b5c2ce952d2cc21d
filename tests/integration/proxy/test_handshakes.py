"""Tunnels that can't be opened: the client is told so, and the log says what to do. Runs on both loops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from structlog.testing import capture_logs

from integration.proxy.conftest import StartProxy, client_context
from onceproxy.serve import Proxy
from raw_client import RawClient, a_request, ask, connected
from unit.core.test_client_hello import ECH, extension, made
from upstreams import Upstream

Logs = list[MutableMapping[str, Any]]

OLD, NO_NAME, NO_PROTOCOL = 70, 112, 120  # alerts (RFC 8446 §6.2)


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as found:
        yield found


def told(logs: Logs) -> list[tuple[str, str]]:
    """The failures in the log: host and reason."""
    return [(line["host"], line["reason"]) for line in logs if line["event"] == "client-tls-failed"]


async def counted(proxy: Proxy, reason: str) -> float:
    page = (await ask(proxy.admin_url, a_request("GET", "/metrics"))).body.decode()
    start = f'onceproxy_client_tls_failed_total{{reason="{reason}"}} '
    return sum(float(line.removeprefix(start)) for line in page.splitlines() if line.startswith(start))


def named(name: str) -> bytes:
    """The extension that names a host."""
    entry = b"\0" + len(name).to_bytes(2, "big") + name.encode()
    return extension(0, len(entry).to_bytes(2, "big") + entry)


async def alert(client: RawClient) -> int:
    """Read the alert that ends the connection."""
    record = await client.read(7)
    assert record[:6] == b"\x15\3\3\0\2\2"
    assert await client.ended()
    return record[6]


@pytest.mark.parametrize(
    ("hello", "number", "reason"),
    [
        (made(named("other.example")), NO_NAME, "other-name"),
        (made(named("public.example") + ECH), NO_NAME, "encrypted-hello"),
        (made(named("shop.example") + extension(16, b"\0\3\2h2")), NO_PROTOCOL, "no-http-1"),
        (made(named("shop.example"), version=b"\3\2"), OLD, "old-tls"),
        (b"\x16\3\1\0\0", 50, "malformed-hello"),
    ],
)
async def test_a_hello_that_can_not_be_served(
    proxy: Proxy, logs: Logs, hello: bytes, number: int, reason: str
) -> None:
    for _ in range(2):
        async with connected(proxy.url) as client:
            await client.connect("shop.example:443")
            for byte in hello:
                await client.send(bytes([byte]))
            assert await alert(client) == number

    assert told(logs) == [("shop.example", reason)], "once a host"
    assert await counted(proxy, reason) == 2


@pytest.mark.parametrize("pinned", [False, True])
async def test_a_client_that_does_not_take_our_certificate(proxy: Proxy, logs: Logs, pinned: bool) -> None:
    context = ssl.create_default_context()
    if pinned:  # it trusts one authority, and that is not ours
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trustme.CA().configure_trust(context)
    for _ in range(2):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="shop.example")
        async with connected(proxy.url) as client:
            await client.connect("shop.example:443")
            with pytest.raises(ssl.SSLCertVerificationError):
                await shake(client, tls, incoming, outgoing)
            await client.send(outgoing.read())
            assert await client.ended()

    await failures(proxy, "distrusted", 2)
    assert told(logs) == [("shop.example", "distrusted")], "once a host"
    [line] = [line for line in logs if line["event"] == "client-tls-failed"]
    assert "tls.passthrough" in line["hint"]


async def failures(proxy: Proxy, reason: str, count: int) -> None:
    """Wait until so many were counted."""
    async with asyncio.timeout(20):
        while await counted(proxy, reason) < count:
            await asyncio.sleep(0.01)


async def shake(client: RawClient, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, out: ssl.MemoryBIO) -> None:
    while True:
        try:
            return tls.do_handshake()
        except ssl.SSLWantReadError:
            await client.send(out.read())
            incoming.write(await client.reader.read(65536))


async def test_no_name_at_all_is_fine(proxy: Proxy) -> None:
    context = client_context(proxy)
    context.check_hostname = False
    async with connected(proxy.url) as client:
        await client.connect("shop.example:443")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)
        await shake(client, tls, incoming, outgoing)

        certificate: Any = tls.getpeercert()
        assert certificate["subjectAltName"] == (("DNS", "shop.example"),)


@pytest.mark.parametrize(
    "said", [a_request("POST", "/", "Host: shop.example:443", body=b"1"), b"SSH-2.0-client\r\n", b"\0"]
)
async def test_what_is_no_tls_goes_no_further_on_port_443(proxy: Proxy, said: bytes) -> None:
    async with connected(proxy.url) as client:
        await client.connect("shop.example:443")
        reply = await client.ask(said)

        assert (reply.status, reply.slug) == (400, "bad-request")
        assert await client.ended()


async def test_only_the_hosts_that_are_named_are_opened(
    trusting: StartProxy, secure_upstream: Upstream, upstream_ca: trustme.CA
) -> None:
    end_to_end = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    upstream_ca.configure_trust(end_to_end)
    where = urlsplit(secure_upstream.url).netloc
    opening = await trusting(tls={"intercept": ["other.example", "local*"]})
    passing = await trusting(tls={"intercept": ["other.example"]})
    excepting = await trusting(tls={"intercept": ["local*"], "passthrough": ["localhost"]})
    for proxy, context in (
        (opening, client_context(opening)),
        (passing, end_to_end),
        (excepting, end_to_end),
    ):
        async with connected(proxy.url) as client:
            assert (await client.connect(where)).status == 200
            await client.secure(context, "localhost")
