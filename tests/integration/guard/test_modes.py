"""Modes observe and off: everything is sent, whatever is known and whatever is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from integration.guard.conftest import Side, StartSide
from integration.store.relay import Relay
from onceproxy.admin.metrics import Metrics
from onceproxy.core.policies import InDoubt, Mode
from onceproxy.core.probes import Probe
from onceproxy.core.states import State
from onceproxy.ingress.status import onceproxy_status
from stores import an_action
from upstreams import Conversation, Upstream, after, answer, close, hang

OBSERVE: dict[str, Any] = {"mode": Mode.OBSERVE}
ID = an_action("order").request_id


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def observed(start_side: StartSide, metrics: Metrics) -> Side:
    """A process whose counters can be read."""
    return await start_side(meter=metrics)


@pytest.fixture
async def relay(database_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with Relay(database_url, tmp_path) as relay:
        yield relay


def line(would: str, count: int) -> bytes:
    return b'onceproxy_observed_total{route="charges",would="%s"} %d.0' % (would.encode(), count)


async def test_every_copy_is_sent_and_what_would_have_been_is_recorded(
    observed: Side, metrics: Metrics, upstream: Upstream, database: asyncpg.Connection
) -> None:
    first = await observed.post(**OBSERVE)
    copies = [await observed.post(**OBSERVE) for _ in range(2)]
    other = await observed.post(fingerprint=bytes(32), **OBSERVE)
    stranger = await observed.post(credential=b"another", **OBSERVE)
    await observed.guard.stop(10)

    assert upstream.executions == 5
    assert (first.state, first.attempt, first.reason) == (State.COMPLETED, 1, "status-201")
    for told, would in [
        *((copy, "would-replay") for copy in copies),
        (other, "would-refuse-key-reused"),
        (stranger, "would-refuse-credential-mismatch"),
    ]:
        assert told.response is not None
        assert (told.response.status, told.replayed, told.executed) == (201, False, True)
        assert onceproxy_status(told) == f"state=completed; attempt=1; reason={would}"
    page = metrics.page()
    assert line("would-replay", 2) in page
    assert line("would-refuse-key-reused", 1) in page
    notes = await database.fetch("SELECT reason FROM events WHERE kind = 'observed'")
    assert sorted(row["reason"] for row in notes) == [
        *("would-refuse-credential-mismatch", "would-refuse-key-reused", "would-replay", "would-replay")
    ]


@pytest.mark.parametrize(
    ("policy", "would"),
    [
        ({}, "would-refuse-outcome-unknown"),
        ({"in_doubt": InDoubt.PROBE, "probe": Probe("https://h/{key}", "$.a")}, "would-probe"),
    ],
)
async def test_what_is_in_doubt_is_sent_without_a_question(
    observed: Side, upstream: Upstream, policy: dict[str, Any], would: str
) -> None:
    upstream.will(close)
    assert (await observed.post(**OBSERVE, **policy)).state is State.IN_DOUBT

    told = await observed.post(**OBSERVE, **policy)

    assert (told.reason, told.state) == (would, State.IN_DOUBT)
    assert told.response is not None
    assert upstream.executions == 2


async def test_nobody_waits_for_the_copy_at_work(observed: Side, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    first = asyncio.create_task(observed.post(**OBSERVE))
    await upstream.arrived(1)

    told = await observed.post(wait=600.0, **OBSERVE)

    assert (told.reason, told.executed) == ("would-wait", True)
    gate.set()
    assert (await first).state is State.COMPLETED


async def test_a_copy_that_is_watched_streams(observed: Side, upstream: Upstream) -> None:
    await observed.post(**OBSERVE)
    gate = asyncio.Event()

    async def events(talk: Conversation) -> None:
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await gate.wait()
        talk.keep = False

    upstream.will(events)

    told = await observed.post(**OBSERVE)

    assert told.stream is not None
    assert await anext(told.stream) == b"data: 1\n\n"
    gate.set()
    assert [piece async for piece in told.stream] == []


async def test_a_client_that_leaves_does_not_stop_what_is_sent(observed: Side, upstream: Upstream) -> None:
    await observed.post(**OBSERVE)
    ended: list[bool] = []
    gate = asyncio.Event()

    async def note_the_end(talk: Conversation) -> None:
        await gate.wait()
        await answer()(talk)
        ended.append(not talk.reader.at_eof())

    upstream.will(note_the_end)
    copy = asyncio.create_task(observed.post(**OBSERVE))
    await upstream.arrived(2)
    copy.cancel()
    await asyncio.wait({copy})
    gate.set()

    await observed.guard.stop(10)

    assert ended == [True]


async def gone(side: Side, relay: Relay) -> None:
    await relay.sever()


async def without_lease(side: Side, relay: Relay) -> None:
    side.store._lease._deadline = float("-inf")


async def lease_lost_since_the_claim(side: Side, relay: Relay) -> None:
    side.store._lease._claimed = NeverKeeps()


class NeverKeeps(dict[Any, Any]):
    def __setitem__(self, key: Any, value: Any) -> None:
        """Forget it: as if the lease had run out right after the claim."""


@pytest.mark.parametrize("trouble", [gone, without_lease, lease_lost_since_the_claim])
async def test_what_can_not_be_recorded_is_sent_all_the_same(
    start_side: StartSide, relay: Relay, metrics: Metrics, upstream: Upstream, trouble: Callable[..., Any]
) -> None:
    side = await start_side(meter=metrics, url=relay.url, lease=600, heartbeat=200)
    await trouble(side, relay)

    told = await side.post(**OBSERVE)

    assert told.response is not None
    assert told.response.status == 201
    assert onceproxy_status(told) == "state=unguarded; reason=store-unavailable"
    assert upstream.executions == 1
    assert line("store-unavailable", 1) in metrics.page()


async def test_an_answer_does_not_wait_for_a_store_that_went_away(
    start_side: StartSide, relay: Relay, upstream: Upstream
) -> None:
    side = await start_side(url=relay.url, lease=600, heartbeat=200)
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    first = asyncio.create_task(side.post(**OBSERVE))
    await upstream.arrived(1)
    await relay.sever()
    gate.set()

    told = await first

    assert told.response is not None
    assert (told.response.status, told.state, told.reason) == (201, State.CLAIMED, "stored-later")
    await relay.restore()
    async with asyncio.timeout(30):
        while (receipt := await side.store.read(ID)) is None or receipt.state is not State.COMPLETED:
            await asyncio.sleep(0.05)


async def test_off_leaves_no_trace(side: Side, upstream: Upstream, database: asyncpg.Connection) -> None:
    told = [await side.post(mode=Mode.OFF) for _ in range(2)]

    assert upstream.executions == 2
    assert {onceproxy_status(one) for one in told} == {"state=unguarded; reason=off"}
    assert await database.fetchval("SELECT count(*) FROM events") == 0


async def test_a_stop_ends_what_was_sent_without_a_claim(side: Side, upstream: Upstream) -> None:
    upstream.will(hang)
    copy = asyncio.create_task(side.post(mode=Mode.OFF))
    await upstream.arrived(1)

    await side.guard.stop(0)

    told = await copy
    assert told.problem is not None
    assert told.problem.type.slug == "shutting-down"
