"""The official SDK of MCP behind the proxy: its client calls a tool of its server, and the answer is lost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from clients.cutting import Cutter
from processes import Start, Told, ended
from proxies import ProxyProcess
from upstreams import PATIENCE

if find_spec("mcp") is None:
    pytest.skip("mcp is not installed: pip install -e '.[clients]'", allow_module_level=True)

PROGRAMS = Path(__file__).parent / "programs"
PAID = Told(200, "None", "payment 1")


class Ledger:
    """What the tool did."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def payments(self) -> int:
        """How often it ran."""
        return len(self.path.read_text().split()) if self.path.exists() else 0

    async def has_some(self) -> None:
        """Wait until it ran."""
        async with asyncio.timeout(PATIENCE):
            while not self.payments:
                await asyncio.sleep(0.01)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture(params=["json", "sse"])
async def proxy(
    request: pytest.FixtureRequest, start: Start, ledger: Ledger, tmp_path: Path, database_url: str
) -> AsyncIterator[ProxyProcess]:
    """A proxy with the preset for MCP, and the server by a mount."""
    server = await start(sys.executable, str(PROGRAMS / "mcp_server.py"), request.param, str(ledger.path))
    assert server.stdout is not None
    async with asyncio.timeout(PATIENCE):
        url = (await server.stdout.readline()).decode().strip()
    config = f"mounts: {{/tools: '{url.removesuffix('/mcp')}'}}\npresets: [mcp]\n"
    async with ProxyProcess(tmp_path / "data", database_url, config) as process:
        yield process


def calling(url: str, mode: str, how: str, tries: int) -> tuple[str, ...]:
    return (sys.executable, str(PROGRAMS / "with_mcp.py"), f"{url}/tools/mcp", mode, how, str(tries))


@pytest.mark.parametrize("mode", ["legacy", "auto"])  # with a session, and by the newest protocol without one
async def test_a_tool_whose_answer_is_lost_runs_once(
    proxy: ProxyProcess, start: Start, ledger: Ledger, mode: str
) -> None:
    """The retry, in a new session and under a new id, gets the answer of the first."""
    async with Cutter(proxy.url, b'"tools/call"', ledger.has_some) as relay:
        told = (await ended(await start(*calling(relay.url, mode, "then", 2)))).told
        ids = relay.found(rb'"id":(\d+),"method":"tools/call"')
        sessions = set(relay.found(rb"(?i)\r\nmcp-session-id: (\S+)"))

    assert told[-1] == PAID
    assert relay.cuts == 1
    assert ledger.payments == 1
    assert len(set(ids)) == 2
    assert len(sessions) == (2 if mode == "legacy" else 0)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_copies_at_the_same_time_run_a_tool_once(
    proxy: ProxyProcess, start: Start, ledger: Ledger, mode: str
) -> None:
    told = (await ended(await start(*calling(proxy.url, mode, "together", 3)))).told

    assert told == [PAID] * 3
    assert ledger.payments == 1
