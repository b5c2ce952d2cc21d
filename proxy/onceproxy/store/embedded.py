"""The embedded Postgres: started by the first process that needs it, shared, and stopped by the last one.

Every process that uses the server holds a shared lock on a file; who leaves and can turn it into an exclusive
one was the last. The locks go with their processes, so one that was killed counts no more. The server itself
outlives a killed proxy, and the next process finds it running.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import asyncpg

from onceproxy.store.cluster import START_TIMEOUT, SUPERUSER, Cluster
from onceproxy.store.connection import connect_patiently
from onceproxy.store.errors import DatabaseUnreachable, EmbeddedFailed
from onceproxy.store.statements import sql

log = logging.getLogger(__name__)

DATABASE = "onceproxy"
ATTACH_TIMEOUT = 1.0  # seconds for a server that is ready, or seems to run
LOOK_EVERY = 1.0  # seconds between two looks whether the server still runs
CONNECT_TIMEOUT = 60.0  # seconds for one that recovers from a crash


class EmbeddedServer:
    """A running server that this process uses. ``url`` is where its database is."""

    def __init__(self, cluster: Cluster, lock_file: Path, user: int) -> None:
        self._cluster = cluster
        self._lock_file = lock_file
        self._user: int | None = user
        self._keeper: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The URL of the receipts' database, for ``PostgresStore.open``."""
        return self._url_of(DATABASE)

    @property
    def pid(self) -> int | None:
        """The pid of the server, or None if it does not run."""
        return self._cluster.pid()

    async def stop(self) -> None:
        """Stop using the server, and stop it if no other process uses it. May be called twice."""
        if self._keeper is not None:
            self._keeper.cancel()
        await asyncio.to_thread(self._stop)

    def look_after(self) -> None:
        """Start the server again whenever it dies, until ``stop``."""
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if self._cluster.pid() is None:
                log.warning("the embedded Postgres is gone; it is started again")
                try:
                    await asyncio.to_thread(self._start_again)
                except (EmbeddedFailed, OSError):
                    log.exception("the embedded Postgres can't be started again; this is tried on")

    def _start_again(self) -> None:
        with _locked(self._lock_file):
            if self._user is not None:  # we may have been told to stop meanwhile
                self._cluster.start()

    def _stop(self) -> None:
        user, self._user = self._user, None
        if user is None:
            return
        try:
            with _locked(self._lock_file):
                if _try_lock(user, fcntl.LOCK_EX):
                    self._cluster.stop()
        finally:
            os.close(user)

    def _url_of(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self._cluster.socket_dir), safe='')}"


async def start_embedded(data_dir: Path) -> EmbeddedServer:
    """Use the embedded server of ``data_dir``, making and starting it if need be.

    As many processes as like may do so at once, each for itself.

    Raises:
        EmbeddedFailed: it can't be made, started or reached; the message ends with the server's log.
    """
    # If we are cancelled the thread still ends its work; the server is then found by whoever comes next.
    server = await asyncio.to_thread(_start, data_dir)
    try:
        await _ensure_database(server)
    except BaseException:
        await server.stop()
        raise
    return server


def embedded_runs(data_dir: Path) -> bool:
    """Say whether the embedded server of ``data_dir`` runs; it is not started."""
    directory = data_dir.expanduser().resolve() / "postgres"
    return directory.is_dir() and Cluster(directory).pid() is not None


def _start(data_dir: Path) -> EmbeddedServer:
    try:
        data_dir = data_dir.expanduser().resolve()
        data_dir.mkdir(parents=True, exist_ok=True)
        lock_file = data_dir / "postgres.lock"
        with _locked(lock_file):
            cluster = Cluster(data_dir / "postgres")
            user = os.open(data_dir / "postgres.users", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                # Exclusive locks are only ever tried under the lock that we hold.
                fcntl.flock(user, fcntl.LOCK_SH)
                cluster.start()
            except BaseException:
                os.close(user)
                raise
    except OSError as error:
        raise EmbeddedFailed(f"the embedded Postgres in {data_dir} can't be set up: {error}") from error
    return EmbeddedServer(cluster, lock_file, user)


async def _ensure_database(server: EmbeddedServer) -> None:
    connection = await _connect(server)
    try:
        async with connection.transaction():
            await connection.execute(sql("lock_migrations"))
            present = await connection.fetchval(sql("find_database"), DATABASE)
            if not present:
                await _create_database(server)
    finally:
        connection.terminate()


async def _connect(server: EmbeddedServer) -> asyncpg.Connection:
    try:
        return await connect_patiently(server._url_of(SUPERUSER), ATTACH_TIMEOUT)
    except DatabaseUnreachable:
        # What looked like a running server was about to die, or is recovering from a crash.
        await asyncio.to_thread(server._start_again)
    try:
        return await connect_patiently(server._url_of(SUPERUSER), CONNECT_TIMEOUT)
    except DatabaseUnreachable as error:
        raise EmbeddedFailed(f"{error}\n{server._cluster.log_tail()}") from error


async def _create_database(server: EmbeddedServer) -> None:
    # On a connection of its own: CREATE DATABASE can't run in the transaction that holds the lock.
    connection = await connect_patiently(server._url_of(SUPERUSER), CONNECT_TIMEOUT)
    try:
        await connection.execute(sql("create_database"))
    finally:
        await connection.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the exclusive lock of ``path``; wait for it as long as another process may take to start a server.

    Raises:
        EmbeddedFailed: it was not to be had.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        give_up = time.monotonic() + START_TIMEOUT
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > give_up:
                raise EmbeddedFailed(f"another process holds {path} and does not let go")
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
