"""The way that hostile input takes: a proxy for all of it, with recording upstreams behind."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from onceproxy.config.model import Settings
from onceproxy.serve import start
from onceproxy.store.embedded import EmbeddedServer
from security.recorder import Recorder, recording
from stores import migrated_database


@dataclass
class Line:
    """The way from a client through the proxy to the recorders, of which ``secure`` speaks TLS."""

    proxy: str
    context: ssl.SSLContext
    plain: Recorder
    secure: Recorder


@asynccontextmanager
async def a_line(postgres: EmbeddedServer, directory: Path) -> AsyncIterator[Line]:
    """A proxy of its own in ``directory``, between raw clients and two recorders."""
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
