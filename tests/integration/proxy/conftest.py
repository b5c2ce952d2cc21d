"""A whole proxy in the test's process, between a client that speaks raw bytes and an upstream that counts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import pytest
import trustme
import uvloop

from onceproxy.config.model import Settings
from onceproxy.serve import Proxy, start
from upstreams import Upstream

# What depends on how an event loop does TLS and hands connections over is tried on both.
ON_BOTH_LOOPS = frozenset({"test_connect", "test_handshakes", "test_opaque", "test_upgrades"})

Receipts = Callable[[], Awaitable[list[str]]]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on uvloop, as ``serve`` does."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    if item.path.stem in ON_BOTH_LOOPS:
        factories["asyncio"] = asyncio.new_event_loop
    return factories


class StartProxy(Protocol):
    """Starts a proxy over the test's database; takes the sections of the configuration."""

    async def __call__(self, **sections: Any) -> Proxy: ...


@pytest.fixture
async def start_proxy(database_url: str, tmp_path: Path) -> AsyncIterator[StartProxy]:
    """Starts proxies over one database and one local CA, and stops them at the end."""
    started: list[Proxy] = []

    async def start_one(**sections: Any) -> Proxy:
        values: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "admin": {"listen": "127.0.0.1:0"},
            "database": database_url,
            "data_dir": str(tmp_path / "data"),
        }
        started.append(await start(Settings(**values | sections)))
        return started[-1]

    yield start_one
    for proxy in started:
        await proxy.stop(grace=0)


@pytest.fixture
async def proxy(start_proxy: StartProxy) -> Proxy:
    """A proxy as it is without any configuration."""
    return await start_proxy()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """An upstream without TLS."""
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def upstream_ca() -> trustme.CA:
    """The authority of the upstreams with TLS. The client trusts it only where a test says so."""
    return trustme.CA()


@pytest.fixture
async def secure_upstream(upstream_ca: trustme.CA) -> AsyncIterator[Upstream]:
    """An upstream with TLS, called localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    upstream_ca.issue_cert("localhost").configure_cert(context)
    async with Upstream(tls=context) as upstream:
        yield upstream


@pytest.fixture
async def trusting(start_proxy: StartProxy, upstream_ca: trustme.CA, tmp_path: Path) -> StartProxy:
    """Starts proxies that trust the upstreams' authority; a ``tls`` section comes on top."""
    roots = tmp_path / "corporate.pem"
    upstream_ca.cert_pem.write_to_path(str(roots))

    async def start_one(**sections: Any) -> Proxy:
        tls = {"upstream_ca": str(roots), **sections.pop("tls", {})}
        return await start_proxy(tls=tls, **sections)

    return start_one


@pytest.fixture
def receipts(database: asyncpg.Connection) -> Receipts:
    """Gives the states of all receipts in the database, sorted."""

    async def states() -> list[str]:
        return sorted(row["state"] for row in await database.fetch("SELECT state FROM receipts"))

    return states


def client_context(proxy: Proxy, *alpn: str) -> ssl.SSLContext:
    """A client's TLS that trusts the proxy's local CA and nothing else."""
    context = ssl.create_default_context(cafile=str(proxy.ca_directory / "ca-cert.pem"))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
