"""A real PgBouncer in transaction mode, before a database of the tests."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from servers import free_port

PATIENCE = 20.0  # seconds for it to start
SESSIONS = 3  # of the server, for however many connections of ours


class PgBouncer:
    """Where a database is by way of it, and what it has said."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    @property
    def log(self) -> str:
        """All that it has said."""
        return self._log.read_text()


@asynccontextmanager
async def pgbouncer(database_url: str) -> AsyncIterator[PgBouncer]:
    """Start one; where there is none on this machine the test is skipped."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not on this machine (Debian: apt-get install pgbouncer)")
    parts = urlsplit(database_url)
    [sockets] = parse_qs(parts.query)["host"]
    # It refuses to be root, and must be somebody who finds the server's socket.
    user = pwd.getpwuid(os.stat(sockets).st_uid)
    with tempfile.TemporaryDirectory(prefix="onceproxy-") as name:
        directory, port = Path(name), free_port()
        config, log = directory / "pgbouncer.ini", directory / "log"
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "logfile": log,
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": SESSIONS,
            "max_client_conn": 200,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        config.write_text(
            "\n".join(["[databases]", f"* = host={sockets} user={parts.username}", "[pgbouncer]", *lines, ""])
        )
        for path in (directory, config):
            os.chown(path, user.pw_uid, user.pw_gid)
        root = os.getuid() == 0
        process = await asyncio.create_subprocess_exec(
            *(program, "-q", str(config)),
            cwd=directory,
            stderr=asyncio.subprocess.DEVNULL,
            user=user.pw_uid if root else None,
            group=user.pw_gid if root else None,
            extra_groups=[] if root else None,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                while not await _listens(port):
                    assert process.returncode is None, log.read_text()
                    await asyncio.sleep(0.01)
            where = f"{parts.username}@127.0.0.1:{port}"
            yield PgBouncer(parts._replace(netloc=where, query="").geturl(), log)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
