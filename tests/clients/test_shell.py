"""`onceproxy env` in a shell, with a proxy that runs already."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from processes import Start, Told, clean_environment, ended
from proxies import ProxyProcess
from upstreams import Upstream

PROGRAMS = Path(__file__).parent / "programs"
TEXT = '{"target": "/charges"}'


@pytest.fixture
async def proxy(tmp_path: Path, database_url: str, upstream_ca_file: Path) -> AsyncIterator[ProxyProcess]:
    """`onceproxy serve`, with its data in ``tmp_path/data``."""
    trust = f"tls: {{upstream_ca: '{upstream_ca_file}'}}\n"
    async with ProxyProcess(tmp_path / "data", database_url, trust) as process:
        yield process


async def test_eval_points_a_shell_at_the_proxy(
    proxy: ProxyProcess, start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    """The paths in the variables hold after a `cd`, also where the data directory is a relative one."""
    address = proxy.url.removeprefix("http://")
    script = f"""
        set -eu
        eval "$('{sys.executable}' -m onceproxy env --listen {address} --data-dir data --run-id run-42)"
        cd /
        for try in 1 2; do sh '{PROGRAMS}/with_curl.sh' {upstream.url}/charges a=1; done
        '{sys.executable}' '{PROGRAMS}/with_requests.py' {upstream.url}/charges a=1
    """
    process = await start("sh", "-c", script, cwd=tmp_path)
    assert (await ended(process)).told == [
        Told(201, "None", TEXT),
        Told(201, "true", TEXT),
        Told(201, "true", TEXT),
    ]
    assert upstream.executions == 1


async def test_a_fish_shell(proxy: ProxyProcess, start: Start, https_upstream: Upstream) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    address = proxy.url.removeprefix("http://")
    script = f"""
        '{sys.executable}' -m onceproxy env --shell fish --listen {address} | source
        sh '{PROGRAMS}/with_curl.sh' {https_upstream.url}/charges a=1
    """
    env = {**clean_environment(), "ONCEPROXY_DATA_DIR": str(proxy.data_dir)}
    process = await start("fish", "--no-config", "-c", script, env=env)
    assert (await ended(process)).told == [Told(201, "None", TEXT)]


async def test_a_mount_needs_no_variables(
    start: Start, tmp_path: Path, database_url: str, upstream_ca_file: Path, https_upstream: Upstream
) -> None:
    """For a client that can't use a proxy: it is given another base URL, and trusts nobody new."""
    config = f"tls: {{upstream_ca: '{upstream_ca_file}'}}\nmounts: {{/api: '{https_upstream.url}/v1'}}\n"
    async with ProxyProcess(tmp_path / "data", database_url, config) as proxy:
        command = ("sh", str(PROGRAMS / "with_curl.sh"), f"{proxy.url}/api/charges", "a=1")
        told = [(await ended(await start(*command))).told[0] for _ in range(2)]
    text = '{"target": "/v1/charges"}'
    assert told == [Told(201, "None", text), Told(201, "true", text)]
    assert https_upstream.executions == 1
