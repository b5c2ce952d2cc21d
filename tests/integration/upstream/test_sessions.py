"""Connections that resume a TLS session, as the upstream's side of them tells."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trustme

from integration.upstream.conftest import AT_HOME, MakeClient, a_request, origin_of, server_context, yes
from onceproxy.core.attempts import Failure, WirePhase
from onceproxy.core.messages import Origin, Request
from onceproxy.upstream.client import UpstreamClient, UpstreamSettings
from onceproxy.upstream.egress import Gate
from onceproxy.upstream.tls import ClientCertificate, UpstreamTls
from upstreams import Behaviour, Conversation, Upstream, answer, closing, door, raw

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
FRESH = 0.0  # seconds that a connection may have been idle


@dataclass
class Noting:
    """A behaviour that notes which requests came on a resumed session, and whose certificate it has."""

    then: Behaviour = field(default_factory=answer)
    resumed: list[bool] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)

    async def __call__(self, talk: Conversation) -> None:
        encrypted: ssl.SSLObject = talk.writer.get_extra_info("ssl_object")
        self.resumed.append(bool(encrypted.session_reused))
        names = (encrypted.getpeercert() or {}).get("subjectAltName", ())
        self.names.append(str(names[0][1]) if names else None)
        await self.then(talk)


@pytest.fixture(params=VERSIONS, ids=["1.2", "1.3"])
def context(request: pytest.FixtureRequest, authority: trustme.CA) -> ssl.SSLContext:
    """The upstream's."""
    context = server_context(authority.issue_cert("localhost"))
    context.maximum_version = request.param
    return context


@pytest.fixture
def tls(tmp_path: Path, authority: trustme.CA) -> UpstreamTls:
    """TLS that has no session yet."""
    authority.cert_pem.write_to_path(str(tmp_path / "roots.pem"))
    return UpstreamTls(tmp_path / "roots.pem")


@pytest.fixture
def noting() -> Noting:
    return Noting()


@pytest.fixture
async def far(context: ssl.SSLContext, noting: Noting) -> AsyncIterator[Upstream]:
    async with Upstream(tls=context, always=noting) as far:
        yield far


async def send(client: UpstreamClient, request: Request) -> int | None:
    """Send on a connection of its own."""
    return (await client.send(request, yes, reuse_idle=FRESH)).status


@pytest.mark.parametrize("ended", [answer(), closing(answer()), raw(b"HTTP/1.1 201 Made\r\n\r\nall of it")])
async def test_the_next_connection_resumes(
    client: UpstreamClient, far: Upstream, noting: Noting, ended: Behaviour
) -> None:
    noting.then = ended

    statuses = [await send(client, a_request(origin_of(far))) for _ in range(3)]

    assert statuses == [201, 201, 201]
    assert (noting.resumed, far.connections, far.executions) == ([False, True, True], 3, 3)


async def test_streams_and_upgrades_leave_their_sessions(
    client: UpstreamClient, far: Upstream, noting: Noting
) -> None:
    noting.then = raw(b"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    upgraded = await client.open(a_request(origin_of(far), "GET", b""), upgrade=b"echo")
    transport, _ = upgraded.hijack()
    transport.abort()
    noting.then = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n")
    for _ in range(2):
        opened = await client.open(a_request(origin_of(far), "GET", b""))
        assert [piece async for piece in opened.chunks()] == [b"all"]
        await opened.aclose()

    assert noting.resumed == [False, True, True]


async def test_another_name_has_to_show_its_certificate(
    client: UpstreamClient, far: Upstream, noting: Noting
) -> None:
    # A session that was resumed here would pass over the name in the certificate.
    assert await send(client, a_request(origin_of(far))) == 201

    attempt = await client.send(a_request(Origin("https", "127.0.0.1", far.port)), yes)

    assert (attempt.phase, attempt.failure) == (WirePhase.CONNECTING, Failure.TLS_FAILED)
    assert "it is for another host" in attempt.detail
    assert (noting.resumed, far.executions) == ([False], 1)


async def test_another_port_is_another_upstream(
    client: UpstreamClient, far: Upstream, noting: Noting
) -> None:
    async with Upstream(tls=far.tls, always=noting) as other:  # which could resume sessions of the first
        for origin in (origin_of(far), origin_of(other), origin_of(other), origin_of(far)):
            assert await send(client, a_request(origin)) == 201

    assert noting.resumed == [False, False, True, True]


def certificate(directory: Path, authority: trustme.CA, name: str) -> ClientCertificate:
    cert, key = directory / f"{name}.pem", directory / f"{name}-key.pem"
    leaf = authority.issue_cert(f"{name}.example")
    cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    key.chmod(0o600)
    return ClientCertificate(None, cert, key, name=name)


async def test_a_session_is_never_resumed_in_another_name(
    authority: trustme.CA,
    tmp_path: Path,
    context: ssl.SSLContext,
    far: Upstream,
    noting: Noting,
    tls: UpstreamTls,
) -> None:
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(context)
    known = [certificate(tmp_path, authority, name) for name in ("one", "two")]
    client = UpstreamClient(UpstreamSettings(), UpstreamTls(tmp_path / "roots.pem", known), Gate(AT_HOME))
    names = [None, "one", "two", "two", "one", None]

    for name in names:
        assert await send(client, replace(a_request(origin_of(far)), client_certificate=name)) == 201
    await client.aclose()

    assert noting.names == [name and f"{name}.example" for name in names]
    assert noting.resumed == [False, False, False, True, True, True]


async def test_an_upstream_that_forgot_its_sessions_shakes_hands_in_full(
    client: UpstreamClient, authority: trustme.CA, context: ssl.SSLContext, noting: Noting
) -> None:
    async with Upstream(tls=context, always=noting) as far:
        assert await send(client, a_request(origin_of(far))) == 201
    restarted = server_context(authority.issue_cert("localhost"))
    restarted.maximum_version = context.maximum_version

    async with Upstream(tls=restarted, always=noting, port=far.port) as far:
        statuses = [await send(client, a_request(origin_of(far))) for _ in range(3)]

    assert (statuses, noting.resumed) == ([201, 201, 201], [False, False, True, True])
    assert (far.connections, far.executions) == (3, 3)


async def test_an_upstream_that_forgot_its_sessions_is_verified_anew(
    client: UpstreamClient, authority: trustme.CA, context: ssl.SSLContext, noting: Noting
) -> None:
    async with Upstream(tls=context, always=noting) as far:
        assert await send(client, a_request(origin_of(far))) == 201
    stranger = server_context(trustme.CA().issue_cert("localhost"))

    async with Upstream(tls=stranger, always=noting, port=far.port) as far:
        attempt = await client.send(a_request(origin_of(far)), yes)

    assert (attempt.phase, attempt.failure, far.executions) == (WirePhase.CONNECTING, Failure.TLS_FAILED, 0)


async def test_an_upstream_that_breaks_off_at_a_session_is_offered_none(
    client: UpstreamClient, context: ssl.SSLContext, far: Upstream, noting: Noting
) -> None:
    alerts: list[int | None] = [None, ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR, None]
    context.sni_callback = _says(alerts)

    statuses = [await send(client, a_request(origin_of(far))) for _ in range(2)]

    assert (statuses, noting.resumed, far.executions) == ([201, 201], [False, False], 2)
    assert alerts == []


async def test_a_handshake_without_a_session_is_not_tried_again(
    client: UpstreamClient, context: ssl.SSLContext, far: Upstream
) -> None:
    alerts: list[int | None] = [ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR, None]
    context.sni_callback = _says(alerts)

    attempt = await client.send(a_request(origin_of(far)), yes)

    assert (attempt.phase, attempt.failure is None, alerts) == (WirePhase.CONNECTING, False, [None])


def _says(alerts: list[int | None]) -> Callable[[ssl.SSLObject, str, ssl.SSLContext], int | None]:
    return lambda *_: alerts.pop(0)


async def test_an_upstream_that_hangs_at_a_session_is_offered_none(
    make_client: MakeClient, context: ssl.SSLContext, noting: Noting
) -> None:
    client, impatient = make_client(), make_client(connect_timeout=0.3)
    async with Upstream(tls=context, always=noting) as far:
        assert await send(client, a_request(origin_of(far))) == 201
    origin = origin_of(far)
    async with Upstream(port=far.port) as mute:
        mute.at_the_door(door(5, then="hang"))
        attempt = await impatient.send(a_request(origin), yes)
        assert attempt.failure is Failure.TIMEOUT

    async with Upstream(tls=context, always=noting, port=far.port):
        assert await send(client, a_request(origin)) == 201

    assert noting.resumed == [False, False]
