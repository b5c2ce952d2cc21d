"""The database goes away: nothing is called without a claim, and nothing that happened is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.store.relay import Relay
from onceproxy import Guard, StoreUnavailable
from tills import Till


@pytest.fixture
async def relay(receipts_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with Relay(receipts_url, tmp_path) as relay:
        yield relay


@pytest.fixture
async def far(relay: Relay, tmp_path: Path) -> AsyncIterator[Guard]:
    """A guard whose database can go away."""
    async with Guard(relay.url, data_dir=tmp_path / "data") as guard:
        yield guard


async def test_at_the_claim_nothing_is_called(far: Guard, relay: Relay, till: Till, key: str) -> None:
    await relay.sever()
    with pytest.raises(StoreUnavailable, match="Nothing was called") as caught:
        await far.execute("away", key, lambda: till.act_later(key))
    assert (till.calls, caught.value.executed) == ([], False)
    await relay.restore()
    assert await far.execute("away", key, lambda: till.act_later(key)) == "done"


async def test_at_the_receipt_it_waits_and_nothing_is_lost(
    far: Guard, guard: Guard, relay: Relay, till: Till, key: str, tmp_path: Path
) -> None:
    async def go_away() -> str:
        await relay.sever()
        return str(await till.act_later(key))

    call = asyncio.create_task(far.execute("away", key, go_away))
    async with asyncio.timeout(30):
        while not list((tmp_path / "data" / "spool").rglob("*.*")):
            await asyncio.sleep(0.02)
    assert not call.done()
    await relay.restore()
    assert await call == await guard.execute("away", key, go_away) == "done"
    assert len(till.calls) == 1
