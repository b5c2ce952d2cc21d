"""Databases and stores for tests, and the values that go into them.

One embedded server serves a test process (each xdist worker has its own); each test that asks for
``database_url`` gets a fresh, migrated database, copied from a template.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.messages import BytesBody, RawHeaders, Response
from onceproxy.core.outcomes import Outcome, OutcomeKind
from onceproxy.core.policies import Policy
from onceproxy.core.receipts import Action, IdentityKind, RequestId
from onceproxy.guard.ports import Settlement
from onceproxy.store.embedded import EmbeddedServer, start_embedded
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.schema import migrate

TEMPLATE = "migrated"
MEMORY_DISK = "/dev/shm"
ROOM = 6 << 30  # bytes: the servers of two workers, amid the tests of large answers
_numbers = count(1)
_POLICY = {field.name for field in fields(Policy)}

OpenStore = Callable[..., Awaitable[PostgresStore]]


def url_of(server_url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(server_url)._replace(path=f"/{database}").geturl()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    """A running server with a migrated template, for the whole session.

    It is not below pytest's own directory: each session that starts closes that one to other users, and
    where root runs the tests the server is another user.
    """
    with tempfile.TemporaryDirectory(prefix="onceproxy-", dir=_quick_directory()) as directory:
        server = asyncio.run(start_embedded(Path(directory)))
        asyncio.run(_make_template(server.url))
        yield server
        asyncio.run(server.stop())


def _quick_directory() -> str | None:
    """Return where a flush to the disk takes no time, if there is room; None: the usual place.

    Each test makes and drops a database, with a checkpoint each, and no test cuts the power.
    """
    try:
        free = shutil.disk_usage(MEMORY_DISK).free
    except OSError:
        return None
    return MEMORY_DISK if free >= ROOM and os.access(MEMORY_DISK, os.W_OK) else None


async def _make_template(server_url: str) -> None:
    await on_server(server_url, f"CREATE DATABASE {TEMPLATE}")
    connection = await asyncpg.connect(url_of(server_url, TEMPLATE))
    await migrate(connection)
    await connection.close()


async def on_server(url: str, *statements: str) -> None:
    """Run statements one by one on a connection of their own."""
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@pytest.fixture
async def empty_database_url(postgres: EmbeddedServer) -> AsyncIterator[str]:
    """A fresh database without any tables."""
    name = f"test_{next(_numbers)}"
    await on_server(postgres.url, f"CREATE DATABASE {name}")
    yield url_of(postgres.url, name)
    await on_server(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def migrated_database(server: EmbeddedServer) -> AsyncIterator[str]:
    """A fresh database with the newest schema, as long as the context lasts: its URL."""
    name = f"test_{next(_numbers)}"
    await on_server(server.url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield url_of(server.url, name)
    await on_server(server.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(postgres: EmbeddedServer) -> AsyncIterator[str]:
    """A fresh database with the newest schema."""
    async with migrated_database(postgres) as url:
        yield url


@pytest.fixture
async def open_store(database_url: str) -> AsyncIterator[OpenStore]:
    """Opens stores over one fresh database; takes the keywords of ``PostgresStore.open``, closes them all."""
    opened: list[PostgresStore] = []

    async def open_one(url: str = database_url, **settings: Any) -> PostgresStore:
        opened.append(await PostgresStore.open(url, **{"pool_size": 4, **settings}))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> PostgresStore:
    """A store over a fresh database."""
    return await open_store()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection to the test's database, to look behind the store's back."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


def an_action(name: str = "pay", **changes: Any) -> Action:
    """An action whose request_id is made from ``name``; ``changes`` are its own or its policy's."""
    values: dict[str, Any] = {
        "request_id": RequestId(hashlib.sha256(name.encode()).digest()),
        "kind": IdentityKind.KEY,
        "canonical": 1,
        "scope": ("run-42",),
        "fingerprint": hashlib.sha256(b"what is asked").digest(),
        "credential": b"",
        "route": "charges",
        "method": "POST",
        "url": "https://api.example.com/v1/charges",
        "policy": Policy(ttl=3600.0),
    }
    policy = {name: changes.pop(name) for name in list(changes) if name in _POLICY}
    values["policy"] = replace(values["policy"], **policy)
    return Action(**{**values, **changes})


def a_response(
    status: int = 201, body: bytes = b'{"id": "ch_1"}', headers: RawHeaders = ((b"Content-Type", b"json"),)
) -> Response:
    """A whole response."""
    return Response(status, b"Created", headers, BytesBody(body))


def completed(response: Response | None = None, *, keep_body: bool = True) -> Settlement:
    """The settlement of an attempt that has its answer."""
    answer = response or a_response()
    attempt = Attempt(WirePhase.BODY_RECEIVED, answer, status=answer.status)
    return Settlement(Outcome(OutcomeKind.COMPLETED, f"status-{answer.status}"), attempt, keep_body)


def released(status: int | None = 429) -> Settlement:
    """The settlement of an attempt that was turned away, or (no status) that sent nothing."""
    if status is None:
        attempt = Attempt(WirePhase.CONNECTING, failure=Failure.CONNECTION_REFUSED, detail="refused")
        return Settlement(Outcome(OutcomeKind.RELEASED, "connection-refused"), attempt)
    attempt = Attempt(WirePhase.BODY_RECEIVED, a_response(status), status=status)
    return Settlement(Outcome(OutcomeKind.RELEASED, f"status-{status}"), attempt)


def in_doubt(status: int | None = None) -> Settlement:
    """The settlement of an attempt that can't tell: cut off, or (with a status) answered with a 5xx."""
    if status is None:
        attempt = Attempt(WirePhase.SENT, failure=Failure.CONNECTION_LOST, detail="reset by peer")
        return Settlement(Outcome(OutcomeKind.IN_DOUBT, "connection-lost"), attempt)
    attempt = Attempt(WirePhase.BODY_RECEIVED, a_response(status), status=status)
    return Settlement(Outcome(OutcomeKind.IN_DOUBT, f"status-{status}"), attempt)
