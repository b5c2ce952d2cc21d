"""The examples of agents, run: with scripted models, killed in the middle of a tool, and started again."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from onceproxy.testing import crash_at
from processes import Ended, Start, clean_environment, ended

EXAMPLES = Path(__file__).parents[2] / "examples"
FRAMEWORKS = {"langgraph": "langgraph", "openai_agents": "agents", "pydantic_ai": "pydantic_ai", "mcp": "mcp"}


@pytest.fixture(params=FRAMEWORKS)
def example(request: pytest.FixtureRequest) -> Path:
    if find_spec(FRAMEWORKS[request.param]) is None:
        pytest.skip(f"{FRAMEWORKS[request.param]} is not installed: pip install -e '.[clients]'")
    return EXAMPLES / f"{request.param}_orders.py"


async def test_a_tool_runs_once(example: Path, start: Start, database_url: str, tmp_path: Path) -> None:
    environment = {
        **clean_environment(),
        "ONCEPROXY_DATABASE": database_url,
        "ONCEPROXY_DATA_DIR": str(tmp_path / "data"),
    }

    async def run(scope: str, **more: str) -> Ended:
        command = (sys.executable, str(example), scope)
        return await ended(await start(*command, env=environment | more, cwd=tmp_path))

    done = await run("one")
    assert done.code == 0, done.err
    effect, first, again = done.out.splitlines()
    assert effect == "ordering 7"
    assert first == again
    assert "item 7" in first
    assert (await run("one")).out.splitlines() == [first, first]
    assert (await run("another")).out.splitlines() == [effect, first, first]

    killed = await run("lost", **crash_at("before_completion").environment)
    assert (killed.code, killed.out) == (-9, "ordering 7\n")
    told = (await run("lost")).out.splitlines()
    assert len(told) == 2
    for line in told:
        assert line.startswith("OutcomeUnknown: tool.place_order: whether this call took effect is not known")
        assert line.endswith("Do not call this tool for it again.")
