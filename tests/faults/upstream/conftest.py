"""One proxy process for many upstreams: each test has an upstream, and so actions, of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import asyncpg
import pytest
import pytest_asyncio
import trustme

from onceproxy.store.embedded import EmbeddedServer
from proxies import ProxyProcess
from raw_client import Reply, a_request, ask
from stores import migrated_database
from upstreams import Upstream

METHODS = ("POST", "PUT", "DELETE")
BODY = b'{"amount": 1}'
_numbers = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database_url(postgres: EmbeddedServer) -> AsyncIterator[str]:
    """One database for all tests here: each action has a URL of its own."""
    async with migrated_database(postgres) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(database_url, min_size=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whose certificates the proxies trust."""
    return trustme.CA()


@pytest.fixture(scope="module")
def roots(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The section of the configuration that says so."""
    path = tmp_path_factory.mktemp("roots") / "roots.pem"
    authority.cert_pem.write_to_path(str(path))
    return f"tls: {{upstream_ca: '{path}'}}\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(
    database_url: str, roots: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ProxyProcess]:
    async with ProxyProcess(tmp_path_factory.mktemp("proxy"), database_url, roots) as proxy:
        yield proxy


async def pay(proxy: ProxyProcess, method: str, url: str, body: bytes = BODY) -> Reply:
    return await ask(proxy.url, a_request(method, url, body=None if method == "DELETE" else body))


def a_payment(origin: str) -> str:
    """Return a URL that no other test has used: a port may come again, and the database is shared."""
    return f"{origin}/pay/{next(_numbers)}"


async def state_of(database: asyncpg.Pool, url: str) -> str:
    state: str = await database.fetchval("SELECT state FROM receipts WHERE url = $1", url)
    return state


async def phase_of(database: asyncpg.Pool, url: str) -> str:
    phase: str = await database.fetchval("SELECT phase FROM receipts WHERE url = $1", url)
    return phase


async def stays_in_doubt(
    proxy: ProxyProcess,
    upstream: Upstream,
    database: asyncpg.Pool,
    method: str,
    first: Reply,
    url: str,
    body: bytes = BODY,
) -> None:
    """See that the doubt was told and stored, and that copies reach nobody."""
    assert first.told["state"] == "in_doubt", method
    assert await state_of(database, url) == "in_doubt", method
    for _ in (1, 2):
        assert (await pay(proxy, method, url, body)).slug == "outcome-unknown", method
    assert upstream.connections == 1, method
    assert upstream.executions <= 1, method
