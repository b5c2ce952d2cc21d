"""A doubt that the upstream itself can settle: found, not found, unclear, and everybody who waits for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from integration.guard.conftest import Side, StartSide
from onceproxy.core.policies import Duplicate, InDoubt
from onceproxy.core.probes import Probe
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Source
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer
from onceproxy.guard.ports import Resolution
from onceproxy.ingress.status import onceproxy_status
from stores import a_response, an_action
from upstreams import Upstream, after, answer, close, hang

FOUND = answer(200, b'{"data": [{"id": "or_7"}]}', (("Set-Cookie", "a=b"), ("X-Id", "7")))
NOTHING = answer(200, b'{"data": []}')
ABSENT = answer(404, b"{}")


def probing(upstream: Upstream, **changes: Any) -> dict[str, Any]:
    values = {"settle": 0.0, "backoff": 0.0, "tries": 3, **changes}
    url = values.pop("url", f"{upstream.url}/orders?reference={{json:$.reference}}")
    return {"in_doubt": InDoubt.PROBE, "probe": Probe(url, "$.data[0]", **values)}


def problem(told: Answer) -> ProblemType:
    assert told.problem is not None
    return told.problem.type


def reads(upstream: Upstream) -> int:
    return sum(seen.method == "GET" for seen in upstream.requests)


async def test_what_is_found_is_answered_from_the_probe(side: Side, upstream: Upstream) -> None:
    policy = probing(upstream)
    upstream.will(close, FOUND)
    assert (await side.post(**policy)).state is State.IN_DOUBT

    told = await side.post(**policy)

    assert upstream.executions == 1
    assert told.replayed
    assert told.response is not None
    assert told.response.body.read() == b'{"data": [{"id": "or_7"}]}'
    assert told.response.headers == ((b"X-Id", b"7"), (b"Content-Length", b"26"))
    assert told.source is Source.PROBE
    assert onceproxy_status(replace(told, age=7)) == "state=completed; attempt=1; age=7; source=probe"
    (get,) = [seen for seen in upstream.requests if seen.method == "GET"]
    assert get.target == "/orders?reference=r1"
    assert get.all("Authorization") == ["Bearer t"]
    assert get.all("Idempotency-Key") == []
    assert (await side.post(**policy)).source is Source.PROBE
    assert reads(upstream) == 1


async def test_what_is_not_found_is_sent_again(
    side: Side, upstream: Upstream, database: asyncpg.Connection
) -> None:
    policy = probing(upstream)
    upstream.will(close, NOTHING, answer(201, b"made"))
    await side.post(**policy)

    told = await side.post(**policy)

    assert upstream.executions == 2
    assert (told.executed, told.attempt, told.source) == (True, 2, Source.UPSTREAM)
    events = await database.fetch("SELECT kind, reason, detail FROM events ORDER BY at, attempt")
    assert [event["kind"] for event in events] == ["claimed", "in_doubt", "refuted", "claimed", "completed"]
    assert events[2]["reason"] == "probe"
    assert events[2]["detail"] == (
        f"GET {upstream.url}/orders: it answered 200, and $.data[0] selects nothing in it"
    )


async def test_not_found_is_not_believed_before_the_settling_time(side: Side, upstream: Upstream) -> None:
    policy = probing(upstream, settle=0.4)
    upstream.will(close, ABSENT, FOUND)
    await side.post(**policy)

    told = await side.post(**policy)

    assert told.source is Source.PROBE
    assert (upstream.executions, reads(upstream)) == (1, 2)


async def test_not_found_is_believed_after_the_settling_time(side: Side, upstream: Upstream) -> None:
    policy = probing(upstream, settle=0.4)
    upstream.will(close, ABSENT, ABSENT)
    await side.post(**policy)

    told = await side.post(**policy)

    assert (told.executed, upstream.executions, reads(upstream)) == (True, 2, 2)


async def test_a_doubt_that_is_too_young_is_not_settled_by_not_found(side: Side, upstream: Upstream) -> None:
    upstream.will(close)
    await side.post()
    request_id = an_action("order").request_id

    refuted = Resolution(False, Source.PROBE, "not there", settle=60)

    assert not await side.store.resolve(request_id, 1, refuted)
    receipt = await side.store.read(request_id)
    assert receipt is not None
    assert receipt.state is State.IN_DOUBT


@pytest.mark.parametrize("unclear", [answer(500), answer(403), answer(200, b"<html>"), close])
async def test_an_unclear_answer_is_asked_again_and_then_refused(
    side: Side, upstream: Upstream, unclear: Any
) -> None:
    policy = probing(upstream)
    upstream.will(close, unclear, unclear, unclear)
    await side.post(**policy)

    told = await side.post(**policy)

    assert problem(told) is ProblemType.OUTCOME_UNKNOWN
    assert told.problem is not None
    assert "The route's probe could not tell: it " in told.problem.detail
    assert (upstream.executions, reads(upstream)) == (1, 3)
    upstream.will(FOUND)
    assert (await side.post(**policy)).replayed


async def test_a_probe_that_can_not_be_asked(side: Side, upstream: Upstream) -> None:
    policy = probing(upstream, url=f"{upstream.url}/orders/{{json:$.id}}")
    upstream.will(close)
    await side.post(**policy)

    told = await side.post(**policy)

    assert problem(told) is ProblemType.OUTCOME_UNKNOWN
    assert told.problem is not None
    assert "can't be asked: it needs {json:$.id}, and the request has none." in told.problem.detail
    assert (upstream.executions, reads(upstream)) == (1, 0)


async def test_all_copies_wait_for_one_question(side: Side, upstream: Upstream) -> None:
    policy = probing(upstream)
    gate = asyncio.Event()
    upstream.will(close, after(gate, FOUND))
    await side.post(**policy)

    copies = [asyncio.create_task(side.post(**policy)) for _ in range(20)]
    await upstream.arrived(2)
    gate.set()

    assert {told.source for told in await asyncio.gather(*copies)} == {Source.PROBE}
    assert (upstream.executions, reads(upstream)) == (1, 1)


@pytest.mark.parametrize("impatient", [{"duplicate": Duplicate.CONFLICT}, {"wait": 0.05}])
async def test_a_question_goes_on_without_the_copy_that_asked(
    side: Side, upstream: Upstream, impatient: dict[str, Any]
) -> None:
    policy = probing(upstream)
    gate = asyncio.Event()
    upstream.will(close, after(gate, FOUND))
    await side.post(**policy)

    told = await side.post(**policy, **impatient)

    assert problem(told) is ProblemType.IN_PROGRESS
    assert told.problem is not None
    assert told.problem.retry_after == 1
    gone = asyncio.create_task(side.post(**policy))
    await upstream.arrived(2)
    gone.cancel()
    gate.set()
    assert (await side.post(**policy)).source is Source.PROBE
    assert reads(upstream) == 1


async def test_a_stop_ends_the_questions(side: Side, upstream: Upstream) -> None:
    policy = probing(upstream)
    upstream.will(close, hang)
    await side.post(**policy)
    copy = asyncio.create_task(side.post(**policy))
    await upstream.arrived(2)

    await side.guard.stop(0)

    assert problem(await copy) is ProblemType.IN_PROGRESS
    receipt = await side.store.read(an_action("order").request_id)
    assert receipt is not None
    assert receipt.state is State.IN_DOUBT


async def test_two_processes_that_ask_at_once_send_once(start_side: StartSide, upstream: Upstream) -> None:
    here, there = await start_side(), await start_side()
    policy = probing(upstream)
    gate = asyncio.Event()
    upstream.will(close, after(gate, ABSENT), after(gate, ABSENT))
    await here.post(**policy)

    copies = [asyncio.create_task(one.post(**policy)) for one in (here, there)]
    await upstream.arrived(3)
    gate.set()
    told = await asyncio.gather(*copies)

    assert upstream.executions == 2
    assert sorted(one.executed for one in told) == [False, True]
    assert sorted(one.replayed for one in told) == [False, True]


async def test_a_doubt_that_somebody_else_settles_ends_the_pauses(side: Side, upstream: Upstream) -> None:
    policy = probing(upstream, backoff=600.0)
    upstream.will(close, answer(500))
    await side.post(**policy)
    copy = asyncio.create_task(side.post(**policy, wait=600.0))
    await upstream.arrived(2)

    seen = Resolution(True, Source.OPERATOR, "seen in the dashboard", a_response())
    assert await side.store.resolve(an_action("order").request_id, 1, seen)

    async with asyncio.timeout(20):
        assert (await copy).source is Source.OPERATOR
    assert (upstream.executions, reads(upstream)) == (1, 1)
