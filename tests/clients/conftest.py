"""Real clients behind a real proxy, both processes of their own, over http and https.

A client is told where the proxy is, and whom to trust, as a person tells it: by `onceproxy run` or `env`.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from processes import Ended, Run, Start, clean_environment, ended
from upstreams import Upstream


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts programs; those that still run at the end are killed."""
    started: list[asyncio.subprocess.Process] = []

    async def start_one(
        *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=clean_environment() if env is None else env,
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


@pytest.fixture
def onceproxy_command(database_url: str, config: Path, tmp_path: Path) -> tuple[str, ...]:
    """`onceproxy run … --`, with ``config``; what should run comes after it."""
    return (
        *(sys.executable, "-m", "onceproxy", "run", "--run-id", "run-42"),
        *("--config", str(config), "--data-dir", str(tmp_path / "data"), "--database", database_url),
        "--",
    )


@pytest.fixture
def onceproxy_run(start: Start, onceproxy_command: tuple[str, ...]) -> Run:
    """Runs a command under `onceproxy run` and returns how it ended."""

    async def run(*command: str, run_id: str = "run-42", env: Mapping[str, str] | None = None) -> Ended:
        *options, last = onceproxy_command
        return await ended(await start(*options, "--run-id", run_id, last, *command, env=env))

    return run


@pytest.fixture(scope="session")
def upstream_ca() -> trustme.CA:
    """The authority of the upstream's certificate. Only the proxy trusts it: a client can't go round."""
    return trustme.CA()


@pytest.fixture
def upstream_ca_file(upstream_ca: trustme.CA, tmp_path: Path) -> Path:
    """The certificate of ``upstream_ca``, for ``tls.upstream_ca``."""
    file = tmp_path / "upstream-ca.pem"
    upstream_ca.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture
def config(upstream_ca_file: Path, tmp_path: Path) -> Path:
    """A configuration that trusts ``upstream_ca``."""
    file = tmp_path / "onceproxy.yaml"
    file.write_text(f"version: 1\ntls: {{upstream_ca: '{upstream_ca_file}'}}\n")
    return file


@pytest.fixture
async def https_upstream(upstream_ca: trustme.CA) -> AsyncIterator[Upstream]:
    """An upstream on https://localhost."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    upstream_ca.issue_cert("localhost").configure_cert(tls)
    async with Upstream(tls=tls) as upstream:
        yield upstream


@pytest.fixture
async def http_upstream() -> AsyncIterator[Upstream]:
    """An upstream on http://127.0.0.1."""
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture(params=["http", "https"])
def upstream(request: pytest.FixtureRequest) -> Upstream:
    """An upstream, once by http and once by https."""
    found = request.getfixturevalue(f"{request.param}_upstream")
    assert isinstance(found, Upstream)
    return found
