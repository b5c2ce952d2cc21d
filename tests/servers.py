"""Postgres servers of a test's own, on TCP ports of loopback: killed, started again, copied and promoted."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from onceproxy.store.cluster import SUPERUSER, Cluster

PATIENCE = 60.0  # seconds for a server to do as it is told


class Server:
    """One server in ``directory``. ``url`` stays the same when it is started again."""

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        self.cluster = Cluster(directory)
        self.port = free_port()
        self._settings = settings

    @property
    def url(self) -> str:
        """Where its database is."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/postgres"

    async def start(self) -> None:
        """Start it, making it if need be, and wait until it takes connections."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        cluster = self.cluster
        cluster._open_the_way()
        if not (cluster.directory / "PG_VERSION").exists():
            cluster._make()
        cluster._remove_misleading_pid()
        settings = {"listen_addresses": "127.0.0.1", "port": str(self.port), **self._settings}
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        options += f" -k {shlex.quote(str(cluster.directory))}"
        arguments = ["-w", "-t", "60", "-l", str(cluster.log), "-o", options, "start"]
        cluster._run("pg_ctl", "-D", str(cluster.directory), *arguments)

    async def kill(self) -> None:
        """Kill it as a crash would, and wait until all its processes are gone."""
        pid = self.cluster.pid()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # so that it has no more children than are seen now
        processes = [pid, *children_of(pid)]
        os.kill(pid, signal.SIGKILL)
        # Its children notice, and end; until the last has, none can be started in the same directory.
        async with asyncio.timeout(PATIENCE):
            while any(Path(f"/proc/{process}").exists() for process in processes):
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop it, if it runs."""
        await asyncio.to_thread(self.cluster.stop)

    async def promote(self) -> None:
        """Make a standby the primary."""
        arguments = ["-D", str(self.cluster.directory), "-w", "-t", "60", "promote"]
        await asyncio.to_thread(self.cluster._run, "pg_ctl", *arguments)

    async def standby(self, directory: Path, name: str) -> Server:
        """Copy it to ``directory`` as a standby that follows it under ``name``; not started yet."""
        copy = Server(directory, self._settings)
        directory.mkdir(mode=0o700)
        if (user := copy.cluster._user or self.cluster._user) is not None:
            os.chown(directory, user.pw_uid, user.pw_gid)
        where = f"host=127.0.0.1 port={self.port} user={SUPERUSER} application_name={name}"
        arguments = ["-D", str(directory), "-d", where, "-R", "-c", "fast", "-X", "stream"]
        await asyncio.to_thread(self.cluster._run, "pg_basebackup", *arguments)
        return copy

    async def execute(self, *statements: str) -> None:
        """Run statements on a connection of their own."""
        connection = await asyncpg.connect(self.url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    async def until(self, question: str) -> None:
        """Wait until the answer to a question in SQL is true."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(OSError, asyncpg.PostgresError):
                    connection = await asyncpg.connect(self.url)
                    try:
                        if await connection.fetchval(question):
                            return
                    finally:
                        await connection.close()
                await asyncio.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def children_of(pid: int) -> list[int]:
    """The living processes whose parent this is."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.parent.name))
    return found


MakeServer = Callable[..., Awaitable[Server]]


@pytest.fixture
async def make_server() -> AsyncIterator[MakeServer]:
    """Makes and starts servers, or copies of one as its standby; takes settings of Postgres."""
    made: list[Server] = []
    with tempfile.TemporaryDirectory(prefix="onceproxy-") as directory:

        async def make(*, follows: Server | None = None, name: str = "", **settings: str) -> Server:
            place = Path(directory) / f"server{len(made)}"
            if follows is not None:
                server = await follows.standby(place, name)
            else:
                server = Server(place, {"max_connections": "60", **settings})
            made.append(server)
            await server.start()
            return server

        yield make
        for server in reversed(made):
            await server.stop()


@pytest.fixture
async def server(make_server: MakeServer) -> Server:
    """A server of the test's own."""
    return await make_server()
