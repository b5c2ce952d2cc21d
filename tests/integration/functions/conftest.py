"""One guard over one database for all these tests: each has keys of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import structlog

from onceproxy import Guard
from onceproxy.store.embedded import EmbeddedServer
from stores import TEMPLATE, on_server, url_of
from tills import Till

_numbers = count(1)


@pytest.fixture(scope="package")
def receipts_url(postgres: EmbeddedServer) -> Iterator[str]:
    """A database with the newest schema."""
    asyncio.run(on_server(postgres.url, f"CREATE DATABASE functions TEMPLATE {TEMPLATE}"))
    yield url_of(postgres.url, "functions")
    asyncio.run(on_server(postgres.url, "DROP DATABASE functions WITH (FORCE)"))


@pytest.fixture(scope="package")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of all processes."""
    return tmp_path_factory.mktemp("functions")


@pytest.fixture(scope="package")
def guard(receipts_url: str, data_dir: Path) -> Iterator[Guard]:
    """An open guard."""
    with Guard(receipts_url, data_dir=data_dir) as guard:
        yield guard
    structlog.reset_defaults()  # a guard has its log go through logging


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return f"order-{next(_numbers)}"


@pytest.fixture
def till() -> Till:
    """What the effects of a test are done to."""
    return Till()
