"""Policies resend and execute: a doubt is sent again, under the same key, as long as that was allowed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from integration.guard.conftest import Side, StartSide
from onceproxy.core.policies import InDoubt
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Claim
from onceproxy.core.states import State
from stores import an_action
from upstreams import Conversation, Upstream, answer, close

RESEND: dict[str, Any] = {"in_doubt": InDoubt.RESEND, "upstream_window": 3600.0}
EXECUTE: dict[str, Any] = {"in_doubt": InDoubt.EXECUTE}
PASS = "UPDATE receipts SET created_at = created_at - $1::interval, changed_at = changed_at - $1"


class Deduplicating:
    """An API that knows its keys: it acts once for each, and answers copies as it did the first."""

    def __init__(self) -> None:
        self.effects: dict[str, int] = {}
        self.lose = 0  # so many of the coming answers are lost on their way

    async def __call__(self, talk: Conversation) -> None:
        (key,) = talk.seen.all("Idempotency-Key")
        number = self.effects.setdefault(key, len(self.effects) + 1)
        if self.lose:
            self.lose -= 1
            await close(talk)
        else:
            await answer(201, b"charge %d" % number)(talk)


@pytest.fixture
def charges(upstream: Upstream) -> Deduplicating:
    api = Deduplicating()
    upstream.always = api
    return api


async def test_a_doubt_is_sent_again_under_the_same_key(
    side: Side, upstream: Upstream, charges: Deduplicating, database: asyncpg.Connection
) -> None:
    charges.lose = 2
    for _ in range(2):
        assert (await side.post(**RESEND)).state is State.IN_DOUBT

    told = await side.post(**RESEND)

    assert told.response is not None
    assert (told.state, told.attempt, told.response.body.read()) == (State.COMPLETED, 3, b"charge 1")
    assert charges.effects == {"order-1": 1}
    assert len({seen.raw for seen in upstream.requests}) == 1
    assert len({seen.body for seen in upstream.requests}) == 1
    assert (await side.post(**RESEND)).replayed
    reasons = await database.fetch("SELECT reason FROM events WHERE kind = 'claimed' ORDER BY attempt")
    assert [row["reason"] for row in reasons] == [None, "resend", "resend"]


async def test_after_the_window_it_is_not_sent_again(
    side: Side, upstream: Upstream, charges: Deduplicating, database: asyncpg.Connection
) -> None:
    charges.lose = 2
    await side.post(**RESEND)
    await database.execute(PASS, timedelta(minutes=50))
    assert (await side.post(**RESEND)).attempt == 2
    # The window counts from the first attempt, not from the last.
    await database.execute(PASS, timedelta(minutes=11))

    told = await side.post(**RESEND)

    assert told.problem is not None
    assert told.problem.type is ProblemType.OUTCOME_UNKNOWN
    assert "upstream_window" in told.problem.detail
    assert len(upstream.requests) == 2


async def test_a_claim_from_within_the_window_is_not_sent_after_it(
    side: Side, upstream: Upstream, charges: Deduplicating, database: asyncpg.Connection
) -> None:
    charges.lose = 1
    await side.post(**RESEND)
    await database.execute(PASS, timedelta(seconds=3590))
    claim = await side.store.claim(an_action("order", **RESEND))
    assert isinstance(claim, Claim)
    assert claim.doubtful
    assert 0 < claim.resend_left < 10
    assert side.store.may_send(claim)

    # The lease runs on, and the window does not.
    later = side.store._lease.now() + claim.resend_left
    side.store._lease._deadline = later + 60
    side.store._lease._clock = lambda: later

    assert side.store._lease.runs()
    assert not side.store.may_send(claim)


async def test_a_doubt_that_a_lost_owner_left_is_sent_again(
    start_side: StartSide, upstream: Upstream, charges: Deduplicating
) -> None:
    # The zombie claims, loses its lease, and another process sends; then the zombie's answer comes.
    zombie, side = await start_side(lease=1.0, heartbeat=0.4), await start_side()
    claim = await zombie.store.claim(an_action("order", key=b"order-1"))
    assert zombie.store._lease._task is not None
    zombie.store._lease._task.cancel()

    told = await side.post(wait=60.0, **RESEND)

    assert (told.state, told.attempt, told.executed) == (State.COMPLETED, 2, True)
    assert charges.effects == {"order-1": 1}
    assert not zombie.store.may_send(claim)  # type: ignore[arg-type]


async def test_another_credential_may_not_resend(
    side: Side, upstream: Upstream, charges: Deduplicating
) -> None:
    charges.lose = 1
    await side.post(**RESEND)

    told = await side.post(credential=b"another", **RESEND)

    assert told.problem is not None
    assert told.problem.type is ProblemType.CREDENTIAL_MISMATCH
    assert len(upstream.requests) == 1


async def test_execute_sends_whatever_is_in_doubt(
    side: Side, upstream: Upstream, database: asyncpg.Connection
) -> None:
    upstream.will(close)
    await side.post(**EXECUTE)
    await database.execute(PASS, timedelta(days=400))

    told = await side.post(**EXECUTE)

    assert (told.state, told.attempt, upstream.executions) == (State.COMPLETED, 2, 2)
    assert (await side.post(**EXECUTE)).replayed


async def test_what_did_nothing_after_a_doubt_leaves_the_doubt(
    side: Side, upstream: Upstream, database: asyncpg.Connection
) -> None:
    upstream.will(close, answer(429))
    await side.post(**RESEND)
    turned_away = await side.post(**RESEND)
    assert (turned_away.state, turned_away.reason) == (State.IN_DOUBT, "earlier-attempt-in-doubt")
    await database.execute(PASS, timedelta(hours=2))

    told = await side.post(**RESEND)

    assert told.problem is not None
    assert told.problem.type is ProblemType.OUTCOME_UNKNOWN
    assert upstream.executions == 2
