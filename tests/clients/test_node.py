"""Node under `onceproxy run`. undici comes from npm; without node or npm the tests say so and are skipped."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from processes import Run, Told
from upstreams import Upstream

PROGRAMS = Path(__file__).parent / "node"
BODY = '{"amount": 100}'
TEXT = '{"target": "/charges"}'
TWICE = 'for try in 1 2; do "$@" || exit; done'
INSTALL_TIMEOUT = 90  # seconds; a registry that does not answer must not hold up the tests

# One worker installs, once.
pytestmark = pytest.mark.xdist_group("node")


def run_node(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["node", *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="session")
def node() -> str:
    """The command ``node``."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    return "node"


@pytest.fixture(scope="session")
def installed(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the programs and what they need from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    directory = tmp_path_factory.mktemp("node") / "programs"
    shutil.copytree(PROGRAMS, directory, ignore=shutil.ignore_patterns("node_modules"))
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", f"--prefix={directory}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm install took longer than {INSTALL_TIMEOUT} s")
    if done.returncode != 0:
        pytest.skip(f"npm install failed: {done.stderr.strip()[:200]}")
    return directory


async def test_fetch_of_undici_with_its_environment_agent(
    node: str, installed: Path, onceproxy_run: Run, upstream: Upstream
) -> None:
    """The agent tunnels http:// URLs too: plain HTTP inside CONNECT."""
    command = (node, str(installed / "with_fetch.mjs"), f"{upstream.url}/charges", BODY)
    ended = await onceproxy_run("sh", "-c", TWICE, "sh", *command)
    assert ended.told == [Told(201, "None", TEXT), Told(201, "true", TEXT)]
    assert upstream.executions == 1


async def test_fetch_of_node_where_it_looks_at_the_environment(
    node: str, onceproxy_run: Run, upstream: Upstream
) -> None:
    knows = run_node("-p", "process.allowedNodeEnvironmentFlags.has('--use-env-proxy')").stdout.strip()
    if knows != "true":
        version = run_node("--version").stdout.strip()
        pytest.skip(f"node {version} has no NODE_USE_ENV_PROXY; 22.21 and 24.5 have")
    command = (node, str(PROGRAMS / "with_builtin_fetch.mjs"), f"{upstream.url}/charges", BODY)
    ended = await onceproxy_run("sh", "-c", TWICE, "sh", *command)
    assert ended.told == [Told(201, "None", TEXT), Told(201, "true", TEXT)]
    assert upstream.executions == 1
