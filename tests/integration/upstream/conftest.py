"""What the upstream client's tests share. All run on uvloop, as `serve` does, and on asyncio's own loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import trustme
import uvloop

from integration.upstream.line import Line
from onceproxy.core.egress import EgressPolicy
from onceproxy.core.messages import BytesBody, Origin, RawHeaders, Request
from onceproxy.upstream.client import UpstreamClient, UpstreamSettings
from onceproxy.upstream.egress import Gate
from onceproxy.upstream.tls import UpstreamTls
from upstreams import Upstream

MakeClient = Callable[..., UpstreamClient]

AT_HOME = EgressPolicy(private=True, at_home=True)
SHORT = 2.0  # seconds of a timeout that is to run out; on a busy machine all that comes before fits in


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.SelectorEventLoop}


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The CA that the client trusts."""
    return trustme.CA()


@pytest.fixture(scope="session")
def tls(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> UpstreamTls:
    """TLS that trusts that CA."""
    roots = tmp_path_factory.mktemp("roots") / "roots.pem"
    authority.cert_pem.write_to_path(str(roots))
    return UpstreamTls(roots)


@pytest.fixture
async def make_client(tls: UpstreamTls) -> AsyncIterator[MakeClient]:
    """Makes clients; takes the members of ``UpstreamSettings``, closes them all."""
    made: list[UpstreamClient] = []

    def make(**settings: float) -> UpstreamClient:
        values = {"connect_timeout": 20.0, "response_timeout": 20.0, **settings}
        made.append(UpstreamClient(UpstreamSettings(**values), tls, Gate(AT_HOME)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
async def client(make_client: MakeClient) -> UpstreamClient:
    """A client that reuses connections as long as they are open."""
    return make_client()


@pytest.fixture
def line() -> Iterator[Line]:
    with Line() as line:
        yield line


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


@pytest.fixture
async def tls_upstream(authority: trustme.CA) -> AsyncIterator[Upstream]:
    async with Upstream(tls=server_context(authority.issue_cert("localhost"))) as upstream:
        yield upstream


def origin_of(upstream: Upstream) -> Origin:
    if upstream.tls is not None:
        return Origin("https", "localhost", upstream.port)
    return Origin("http", "127.0.0.1", upstream.port)


def a_request(
    origin: Origin,
    method: str = "POST",
    body: bytes = b"amount=1",
    target: bytes = b"/charges",
    headers: RawHeaders = (),
) -> Request:
    return Request(method, origin, target, headers, BytesBody(body))


def yes() -> bool:
    """The right to send."""
    return True
