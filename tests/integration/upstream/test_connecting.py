"""What fails before a byte of the request was sent, and says so."""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
import ssl
from collections.abc import Callable

import pytest
import trustme

from integration.upstream.conftest import SHORT, MakeClient, a_request, server_context, yes
from integration.upstream.line import Line
from onceproxy.core.attempts import Failure, SendFailed, WirePhase
from onceproxy.core.messages import Origin
from onceproxy.upstream.client import UpstreamClient
from onceproxy.upstream.tls import UpstreamTls
from upstreams import Upstream, door

DAY = datetime.timedelta(days=1)
YESTERDAY = datetime.datetime.now(datetime.UTC) - DAY
TOMORROW = YESTERDAY + 2 * DAY


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".example"])
async def test_a_name_that_is_not_found(client: UpstreamClient, host: str) -> None:
    attempt = await client.send(a_request(Origin("http", host, 80)), yes)

    assert (attempt.phase, attempt.failure) == (WirePhase.RESOLVING, Failure.NAME_NOT_RESOLVED)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_port_where_nobody_listens(client: UpstreamClient, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    attempt = await client.send(a_request(Origin(scheme, "127.0.0.1", port)), yes)

    assert (attempt.phase, attempt.failure) == (WirePhase.CONNECTING, Failure.CONNECTION_REFUSED)


async def test_the_next_address_of_a_name_is_tried(client: UpstreamClient, upstream: Upstream) -> None:
    # localhost may be ::1 first, where nobody listens.
    attempt = await client.send(a_request(Origin("http", "localhost", upstream.port)), yes)

    assert attempt.status == 201


def untrusted(_: trustme.CA) -> trustme.LeafCert:
    return trustme.CA().issue_cert("localhost")


def expired(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("localhost", not_after=YESTERDAY)


def not_yet(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("localhost", not_before=TOMORROW, not_after=TOMORROW + 2 * DAY)


def wrong_name(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("other.example")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (untrusted, r"its issuer is unknown; .*tls\.upstream_ca"),
        (expired, "it has expired"),
        (not_yet, "it is not valid yet"),
        (wrong_name, "it is for another host .*not valid for 'localhost'"),
    ],
)
async def test_a_certificate_that_does_not_verify(
    client: UpstreamClient,
    authority: trustme.CA,
    make: Callable[[trustme.CA], trustme.LeafCert],
    words: str,
) -> None:
    async with Upstream(tls=server_context(make(authority))) as upstream:
        attempt = await client.send(a_request(Origin("https", "localhost", upstream.port)), yes)

        assert (attempt.phase, attempt.failure) == (WirePhase.CONNECTING, Failure.TLS_FAILED)
        assert re.search(words, attempt.detail)
        assert upstream.requests == []


async def test_a_tls_version_of_the_past(client: UpstreamClient, authority: trustme.CA) -> None:
    context = server_context(authority.issue_cert("localhost"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with Upstream(tls=context) as upstream:
        attempt = await client.send(a_request(Origin("https", "localhost", upstream.port)), yes)

        # Whether the upstream's alert or its hanging up is seen first is up to it.
        assert attempt.phase is WirePhase.CONNECTING
        assert attempt.failure in (Failure.TLS_FAILED, Failure.CONNECTION_REFUSED)
        assert upstream.requests == []


async def test_plain_http_where_tls_is_expected(client: UpstreamClient, line: Line) -> None:
    sending = asyncio.create_task(client.send(a_request(Origin("https", "127.0.0.1", line.origin.port)), yes))
    peer = await line.accept()
    await peer.readable()
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    attempt = await sending

    assert (attempt.phase, attempt.failure) == (WirePhase.CONNECTING, Failure.TLS_FAILED)


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_handshake_that_the_upstream_breaks_off(client: UpstreamClient, line: Line, end: str) -> None:
    origin = Origin("https", "127.0.0.1", line.origin.port)
    sending = asyncio.create_task(client.send(a_request(origin), yes))
    peer = await line.accept()
    await peer.read()
    getattr(peer, end)()

    attempt = await sending

    assert attempt.phase is WirePhase.CONNECTING
    assert attempt.failure in (Failure.CONNECTION_REFUSED, Failure.TLS_FAILED)
    assert not line.somebody_calls


async def test_a_handshake_that_never_ends(make_client: MakeClient, line: Line) -> None:
    origin = Origin("https", "127.0.0.1", line.origin.port)
    sending = asyncio.create_task(make_client(connect_timeout=SHORT).send(a_request(origin), yes))
    peer = await line.accept()

    attempt = await sending

    assert (attempt.phase, attempt.failure) == (WirePhase.CONNECTING, Failure.TIMEOUT)
    await peer.ended()


async def test_cancelling_a_connection_that_is_being_made(client: UpstreamClient, line: Line) -> None:
    origin = Origin("https", "127.0.0.1", line.origin.port)
    sending = asyncio.create_task(client.send(a_request(origin), yes))
    peer = await line.accept()
    await peer.readable()
    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending

    await peer.ended()


async def test_an_unguarded_request_and_a_tunnel_tell_the_same(client: UpstreamClient) -> None:
    with pytest.raises(SendFailed) as opened:
        await client.open(a_request(Origin("http", "nowhere.invalid", 80), "GET", b""))
    with pytest.raises(SendFailed) as tunnelled:
        await client.tunnel("nowhere.invalid", 80, asyncio.Protocol)

    assert opened.value.failure is tunnelled.value.failure is Failure.NAME_NOT_RESOLVED


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"\x15\3\2\0\2\2\x46", "it speaks no TLS from 1.2 on"),
        (b"\x15\3\3\0\2\2\x28", r"it may want a client certificate \(tls\.client_certificates\)"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks no TLS on this port"),
    ],
)
async def test_what_is_wrong_with_a_handshake_is_said(
    client: UpstreamClient, upstream: Upstream, said: bytes, words: str
) -> None:
    upstream.at_the_door(door(5, said, then="hang"))

    attempt = await client.send(a_request(Origin("https", "localhost", upstream.port)), yes)

    assert (attempt.phase, attempt.failure) == (WirePhase.CONNECTING, Failure.TLS_FAILED)
    assert re.search(words, attempt.detail)


def test_nothing_turns_verification_off(tls: UpstreamTls) -> None:
    context = tls.context_for("any.example").context

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
