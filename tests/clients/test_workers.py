"""Workers of queues over real brokers: killed, and their messages delivered again by the broker."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from onceproxy.testing import Effects
from processes import Start, ended
from servers import free_port
from stores import on_server

WORKERS = Path(__file__).parent / "workers"
PATIENCE = 30.0  # seconds for a server to take connections


@pytest.fixture
async def redis(start: Start, tmp_path: Path) -> str | None:
    """The URL of a Redis of the test's own; None where there is none to start."""
    server = shutil.which("redis-server")
    if server is None:
        return None
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--save", "")
    process = await start(server, *options, "--appendonly", "no")
    async with asyncio.timeout(PATIENCE):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                await writer.wait_closed()
                return f"redis://127.0.0.1:{port}/0"
    raise AssertionError(await process.communicate())


@pytest.fixture
async def jobs_url(database_url: str) -> AsyncIterator[str]:
    """A database for jobs, on the server of the receipts."""
    name = f"jobs_{urlsplit(database_url).path.strip('/')}"
    await on_server(database_url, f'CREATE DATABASE "{name}"')
    yield urlsplit(database_url)._replace(path=f"/{name}").geturl()
    await on_server(database_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.parametrize(
    ("library", "killed", "told"),
    [
        ("celery", "amid", "OutcomeUnknown"),
        ("dramatiq", "after", "charge of order-1"),
        ("taskiq", "amid", "OutcomeUnknown"),
        ("procrastinate", "after", "charge of order-1"),
    ],
)
async def test_a_message_that_comes_again_runs_once(
    redis: str | None,
    jobs_url: str,
    start: Start,
    database_url: str,
    tmp_path: Path,
    library: str,
    killed: str,
    told: str,
) -> None:
    pytest.importorskip(library, reason="the extra `clients` is not installed")
    broker = jobs_url if library == "procrastinate" else redis
    if broker is None:
        pytest.skip("redis-server is not installed")
    effects = Effects(tmp_path / "effects")
    environment = {
        **os.environ,
        "BROKER": broker,
        "DATABASE": database_url,
        "EFFECTS": str(effects.path),
        "ONCEPROXY_DATA_DIR": str(tmp_path / "data"),
    }
    program = str(WORKERS / f"with_{library}.py")
    first = await ended(await start(sys.executable, program, killed, env=environment))
    before = effects.counts
    again = await ended(await start(sys.executable, program, "again", env=environment))

    assert first.code == -signal.SIGKILL, first.err
    assert before["charged order-1"] == 1
    assert again.code == 0, again.err
    assert (effects.counts - before).keys() == {f"told {told}"}
