"""Webhook handlers in real frameworks, in processes of their own: a delivery that comes again runs once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from onceproxy.testing import Effects
from processes import Start
from servers import free_port
from upstreams import PATIENCE

APPLICATIONS = Path(__file__).parent / "applications"
FRAMEWORKS = ("fastapi", "starlette", "litestar", "django", "aiohttp")
GONE = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


class Application:
    """A running application. ``effects`` are what its handlers did."""

    def __init__(self, framework: str, start: Start, database: str, folder: Path) -> None:
        self.effects = Effects(folder / "effects")
        self.url = f"http://127.0.0.1:{free_port()}"
        self._framework = framework
        self._start = start
        self._environment = {
            **os.environ,
            "EFFECTS": str(self.effects.path),
            "DATABASE": database,
            "ONCEPROXY_DATA_DIR": str(folder / "data"),
        }
        self._folder = folder
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await self._start(
            *(sys.executable, str(APPLICATIONS / f"with_{self._framework}.py"), self.url.rpartition(":")[2]),
            env=self._environment,
            cwd=self._folder,
        )
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as client:
            while True:
                try:
                    async with client.get(f"{self.url}/hooks/events") as reply:
                        assert (reply.status, await reply.json()) == (200, {"there": True})
                        assert "Onceproxy-Request-Id" not in reply.headers
                        return
                except GONE:
                    assert self.process.returncode is None, await self.process.communicate()
                    await asyncio.sleep(0.05)

    async def deliver(
        self, content: dict[str, object], **headers: str
    ) -> tuple[int, dict[str, object], str | None]:
        """Deliver an event; return the status, what was answered, and whether it was a replay."""
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{self.url}/hooks/events", json=content, headers=headers) as reply,
        ):
            told = await reply.json() if "json" in reply.content_type else {"text": await reply.text()}
            assert reply.status != 201 or reply.headers["X-Taken"] == "yes"
            return reply.status, told, reply.headers.get("Idempotency-Replayed")


@asynccontextmanager
async def running(framework: str, start: Start, database: str, folder: Path) -> AsyncIterator[Application]:
    application = Application(framework, start, database, folder)
    await application.start()
    yield application


@pytest.fixture(params=FRAMEWORKS)
async def application(
    request: pytest.FixtureRequest, start: Start, database_url: str, tmp_path: Path
) -> AsyncIterator[Application]:
    async with running(request.param, start, database_url, tmp_path) as one:
        yield one


async def test_a_redelivery_runs_once(application: Application) -> None:
    first, *others = await asyncio.gather(*(application.deliver({"id": "evt_1"}) for _ in range(5)))
    again = await application.deliver({"id": "evt_1"})
    told = {"took": "evt_1", "count": 1}
    assert [one[:2] for one in (first, *others, again)] == [(201, told)] * 6
    assert [one[2] for one in (first, *others)].count("true") == 4
    assert again[2] == "true"
    assert application.effects.counts == {"evt_1 charge": 1}

    # The header goes first; and a key stands for one event.
    assert (await application.deliver({"id": "evt_2"}, **{"Webhook-Id": "w1"}))[0] == 201
    status, problem, _ = await application.deliver({"id": "evt_3"}, **{"Webhook-Id": "w1"})
    assert (status, problem["type"]) == (422, "urn:onceproxy:problem:key-reused")
    status, problem, _ = await application.deliver({"no": "id"})
    assert (status, problem["type"]) == (400, "urn:onceproxy:problem:missing-key")

    # What the route takes for "nothing happened" is run again.
    for _ in range(2):
        assert (await application.deliver({"id": "evt_4", "do": "fail"}))[0] == 503
    assert application.effects.counts["evt_4 fail"] == 2

    # The server answers for a handler that raises, as without us; and nobody knows what it did.
    assert (await application.deliver({"id": "evt_5", "do": "raise"}))[0] == 500
    status, problem, _ = await application.deliver({"id": "evt_5", "do": "raise"})
    assert (status, problem["type"]) == (409, "urn:onceproxy:problem:outcome-unknown")
    assert application.effects.counts["evt_5 raise"] == 1

    # Nor after a crash in the middle of it.
    with pytest.raises(GONE):
        await application.deliver({"id": "evt_6", "do": "crash"})
    assert application.process is not None
    await application.process.communicate()
    await application.start()
    status, problem, _ = await application.deliver({"id": "evt_6", "do": "crash"})
    assert (status, problem["type"]) == (409, "urn:onceproxy:problem:outcome-unknown")
    assert application.effects.counts["evt_6 crash"] == 1
    assert (await application.deliver({"id": "evt_1"}))[1] == told
