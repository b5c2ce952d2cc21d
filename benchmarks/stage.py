"""What a part runs on: the upstream, an embedded Postgres, and proxies of ours."""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from benchmarks.load import Way
from benchmarks.running import free_port, running
from benchmarks.upstream import Upstream, upstream
from onceproxy.store.embedded import EmbeddedServer, start_embedded

PASSING = "routes: [{name: passing, match: {path: /**}, guard: false}]\n"


@dataclass(frozen=True, slots=True)
class Ours:
    """A proxy of ours that runs. ``root`` is the certificate of its CA."""

    port: int
    pid: int
    database: str
    root: Path

    @property
    def way(self) -> Way:
        """Through it to upstreams without TLS."""
        return Way(self.port)

    def tunnel(self, far: Upstream) -> Way:
        """Through it by CONNECT to the upstream's TLS."""
        return Way(self.port, far.inside.host, ssl.create_default_context(cafile=self.root))


@dataclass(slots=True)
class Stage:
    """Runs what is to be measured, and ends all of it when the part is over."""

    directory: Path
    upstream: Upstream
    server: EmbeddedServer
    parts: AsyncExitStack
    remarks: list[str] = field(default_factory=list)

    async def ours(
        self,
        name: str,
        config: str = "",
        *,
        database: str = "",
        tls: str = "intercept: true",
        workers: int = 1,
    ) -> Ours:
        """Start a proxy of ours over a database of its own, or over the one of another."""
        directory = self.directory / name
        directory.mkdir()
        settings = directory / "onceproxy.yaml"
        trusting = f"tls: {{upstream_ca: {self.upstream.roots}, {tls}}}\n"
        settings.write_text(f"version: 1\nadmin: {{listen: '127.0.0.1:0'}}\n{trusting}{config}")
        url = database or await self.database(name)
        port = free_port()
        command = (sys.executable, "-m", "onceproxy", "serve", "--config", settings, "--data-dir", directory)
        where = ("--listen", f"127.0.0.1:{port}", "--database", url, "--workers", str(workers))
        pid = await self.parts.enter_async_context(running(name, (*command, *where), port, directory))
        return Ours(port, pid, url, directory / "ca" / "ca-cert.pem")

    def skipped(self, program: str) -> None:
        """Say that a program is not there to be measured."""
        print(f"{program} is not installed: left out", flush=True)
        self.remarks.append(f"{program} was not installed, and is left out.")

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Stage]:
        """Have a stage with a directory of its own, on which what is started ends with the context."""
        async with AsyncExitStack() as parts:
            directory = Path(parts.enter_context(tempfile.TemporaryDirectory(dir=self.directory)))
            os.chmod(directory, 0o755)
            yield replace(self, directory=directory, parts=parts)

    async def database(self, name: str) -> str:
        """Make an empty database, in place of an earlier one of the name; return its URL."""
        connection = await asyncpg.connect(self.server.url)
        await connection.execute(f'DROP DATABASE IF EXISTS "bench_{name}"')
        await connection.execute(f'CREATE DATABASE "bench_{name}"')
        await connection.close()
        return urlsplit(self.server.url)._replace(path=f"/bench_{name}").geturl()


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Set the stage."""
    async with AsyncExitStack() as parts:
        directory = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="onceproxy-bench-")))
        os.chmod(directory, 0o755)  # workers of other proxies are other users
        far = await parts.enter_async_context(upstream(directory))
        server = await start_embedded(directory / "database")
        parts.push_async_callback(server.stop)
        yield Stage(directory, far, server, parts)
