"""One proxy for many hostile inputs, with recording upstreams behind it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
import uvloop

from onceproxy.config.model import Settings
from onceproxy.serve import start
from onceproxy.store.embedded import EmbeddedServer
from security.recorder import recording
from security.sending import Line
from stores import migrated_database


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on uvloop, as ``serve`` does."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wire(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    """A proxy between raw clients and two recorders, one of them with TLS."""
    directory: Path = tmp_path_factory.mktemp("wire")
    authority = trustme.CA()
    roots = directory / "roots.pem"
    authority.cert_pem.write_to_path(str(roots))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    async with AsyncExitStack() as parts:
        plain = await parts.enter_async_context(recording())
        secure = await parts.enter_async_context(recording("localhost", tls=tls))
        settings = {
            "listen": "127.0.0.1:0",
            "admin": {"listen": "127.0.0.1:0"},
            "database": await parts.enter_async_context(migrated_database(postgres)),
            "data_dir": str(directory / "data"),
            "mounts": {"/mount": f"http://{plain.host}"},
            "tls": {"upstream_ca": str(roots)},
            "limits": {"header": "8KiB", "request_body": "4KiB"},
        }
        proxy = await start(Settings.model_validate(settings))
        parts.push_async_callback(proxy.stop, grace=0)
        context = ssl.create_default_context(cafile=str(proxy.ca_directory / "ca-cert.pem"))
        yield Line(proxy.url, context, plain, secure)
