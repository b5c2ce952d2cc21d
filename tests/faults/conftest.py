"""Proxies as processes, killed and stopped; the upstream that counts lives in the test."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from processes import Ended, clean_environment, ended
from proxies import ProxyProcess
from upstreams import Upstream

StartProxy = Callable[..., Awaitable[ProxyProcess]]
Serve = Callable[..., Awaitable[Ended]]


@pytest.fixture
async def start_proxy(database_url: str, tmp_path: Path) -> AsyncIterator[StartProxy]:
    """Starts proxies over one database; takes the fields of ``ProxyProcess``. What still runs is killed."""
    started: list[ProxyProcess] = []

    async def start(**fields: object) -> ProxyProcess:
        values = {"data_dir": tmp_path / "data", "database": database_url, **fields}
        proxy = ProxyProcess(**values)  # type: ignore[arg-type]
        started.append(proxy)
        await proxy.start()
        return proxy

    yield start
    for proxy in started:
        if proxy.runs:
            await proxy.kill()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
def serve(database_url: str, tmp_path: Path) -> Serve:
    """Runs `onceproxy serve` where it is to fail; more arguments come after those for database and data."""

    async def run(*arguments: str, env: Mapping[str, str] | None = None) -> Ended:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "onceproxy", "serve", "--listen", "127.0.0.1:0"),
            *("--data-dir", str(tmp_path / "data"), "--database", database_url),
            *arguments,
            env={**clean_environment(), "ONCEPROXY_ADMIN_LISTEN": "127.0.0.1:0", **(env or {})},
            cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            return await ended(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    return run
