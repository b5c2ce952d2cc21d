"""One proxy for many hostile inputs, with recording upstreams behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import pytest_asyncio
import uvloop

from onceproxy.store.embedded import EmbeddedServer
from security.line import Line, a_line


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on uvloop, as ``serve`` does."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wire(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    """A proxy between raw clients and two recorders, for all tests of a module."""
    async with a_line(postgres, tmp_path_factory.mktemp("wire")) as line:
        yield line
