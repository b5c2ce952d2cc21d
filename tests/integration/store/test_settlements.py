"""Settling: only the attempt's own word counts, and no evidence is lost."""

from __future__ import annotations

import asyncio
import hashlib
from uuid import uuid4

import asyncpg
import pytest

from integration.store.conftest import History
from onceproxy.core.attempts import Attempt, WirePhase
from onceproxy.core.messages import BytesBody, Response
from onceproxy.core.outcomes import Outcome, OutcomeKind
from onceproxy.core.receipts import Claim, Receipt
from onceproxy.core.states import State
from onceproxy.guard.capture import Capture
from onceproxy.guard.ports import Note, Settled, Settlement
from onceproxy.store.postgres import PostgresStore
from stores import OpenStore, a_response, an_action, completed, in_doubt, released


@pytest.fixture
async def claim(store: PostgresStore) -> Claim:
    claimed = await store.claim(an_action())
    assert isinstance(claimed, Claim)
    return claimed


async def read(store: PostgresStore, claim: Claim) -> Receipt:
    receipt = await store.read(claim.request_id)
    assert receipt is not None
    return receipt


async def lose(store: PostgresStore, claim: Claim, database: asyncpg.Connection) -> None:
    await database.execute("UPDATE receipts SET instance = $1", uuid4())
    assert (await read(store, claim)).state is State.IN_DOUBT


async def test_completed_keeps_the_response(store: PostgresStore, claim: Claim, history: History) -> None:
    assert await store.settle(claim, completed()) is Settled.STORED

    receipt = await read(store, claim)
    assert (receipt.state, receipt.attempt) == (State.COMPLETED, 1)
    assert receipt.response == a_response()
    assert receipt.body_kept
    assert receipt.body_size == len(a_response().body.read())
    assert receipt.body_digest == hashlib.sha256(a_response().body.read()).digest()
    assert (receipt.phase, receipt.failure) == ("body-received", None)
    assert await history(claim.request_id) == ["claimed", "completed"]


async def test_bytes_come_back_as_they_were(store: PostgresStore, claim: Claim) -> None:
    headers = (
        (b"X-Twice", b"1"),
        (b"x-odd", b"\xff\x85 caf\xe9"),
        (b"X-Empty", b""),
        (b"x-TWICE", b"2, 3"),
        (b"X-Twice", b"1"),
    )
    body = bytes(range(256)) * 1024
    response = Response(299, b"Very \xfcber", headers, BytesBody(body))

    await store.settle(claim, completed(response))

    receipt = await read(store, claim)
    assert receipt.response == response
    assert receipt.body_size == 1 << 18


async def test_an_empty_response_is_a_response(store: PostgresStore, claim: Claim) -> None:
    await store.settle(claim, completed(Response(204, b"", ())))

    receipt = await read(store, claim)
    assert receipt.response == Response(204, b"", ())
    assert receipt.body_kept


async def test_a_captured_body_over_the_limit_leaves_size_and_digest(
    store: PostgresStore, claim: Claim
) -> None:
    capture = Capture()
    capture.write(b"x" * 100_000)
    response = Response(200, b"OK", ((b"A", b"b"),), capture)

    await store.settle(claim, completed(response, keep_body=False))

    receipt = await read(store, claim)
    assert receipt.state is State.COMPLETED
    assert receipt.response == Response(200, b"OK", ((b"A", b"b"),))
    assert not receipt.body_kept
    assert (receipt.body_size, receipt.body_digest) == (100_000, capture.digest)


async def test_released_keeps_the_status_alone(
    store: PostgresStore, claim: Claim, database: asyncpg.Connection, history: History
) -> None:
    assert await store.settle(claim, released(429)) is Settled.STORED

    receipt = await read(store, claim)
    assert (receipt.state, receipt.response) == (State.RELEASED, None)
    assert await database.fetchval("SELECT status FROM receipts") == 429
    assert await history(claim.request_id) == ["claimed", "released"]


async def test_in_doubt_keeps_the_evidence(store: PostgresStore, claim: Claim, history: History) -> None:
    assert await store.settle(claim, in_doubt()) is Settled.STORED

    receipt = await read(store, claim)
    assert (receipt.state, receipt.response) == (State.IN_DOUBT, None)
    assert (receipt.phase, receipt.failure, receipt.detail) == ("sent", "connection-lost", "reset by peer")
    assert await history(claim.request_id) == ["claimed", "in_doubt"]


async def test_in_doubt_with_an_answer_keeps_it(store: PostgresStore, claim: Claim) -> None:
    await store.settle(claim, in_doubt(500))

    receipt = await read(store, claim)
    assert receipt.state is State.IN_DOUBT
    assert receipt.response == a_response(500)


@pytest.mark.parametrize("settlement", [completed(), released(), in_doubt(), in_doubt(500)])
async def test_a_repetition_is_stored_once(
    store: PostgresStore, claim: Claim, history: History, settlement: Settlement
) -> None:
    await store.settle(claim, settlement)
    before = await read(store, claim)

    assert await store.settle(claim, settlement) is Settled.STORED

    after = await read(store, claim)
    assert after.response == before.response
    assert await history(claim.request_id) == ["claimed", settlement.outcome.kind.value]


@pytest.mark.parametrize(
    ("settlement", "state"), [(completed(), State.COMPLETED), (released(), State.RELEASED)]
)
async def test_late_evidence_heals_a_doubt(
    store: PostgresStore,
    claim: Claim,
    database: asyncpg.Connection,
    history: History,
    settlement: Settlement,
    state: State,
) -> None:
    await lose(store, claim, database)

    assert await store.settle(claim, settlement) is Settled.STORED

    assert (await read(store, claim)).state is state
    assert await history(claim.request_id) == ["claimed", "lost", "healed"]


async def test_a_doubt_after_the_loss_leaves_its_evidence(
    store: PostgresStore, claim: Claim, database: asyncpg.Connection, history: History
) -> None:
    await lose(store, claim, database)

    assert await store.settle(claim, in_doubt()) is Settled.STORED
    assert await store.settle(claim, in_doubt()) is Settled.STORED

    assert (await read(store, claim)).failure == "owner-lost"
    assert await history(claim.request_id) == ["claimed", "lost", "in_doubt"]


@pytest.mark.parametrize(
    ("settlement", "note"),
    [(completed(), "executed-twice"), (in_doubt(), "executed-twice"), (released(), "late-release")],
)
async def test_a_superseded_attempt_changes_nothing_and_is_not_forgotten(
    store: PostgresStore,
    claim: Claim,
    database: asyncpg.Connection,
    history: History,
    settlement: Settlement,
    note: str,
) -> None:
    await store.settle(claim, released())
    second = await store.claim(an_action())
    assert isinstance(second, Claim)

    assert await store.settle(claim, settlement) is Settled.SUPERSEDED
    assert await store.settle(claim, settlement) is Settled.SUPERSEDED

    receipt = await read(store, claim)
    assert (receipt.state, receipt.attempt) == (State.CLAIMED, 2)
    assert await history(claim.request_id) == ["claimed", "released", "claimed", note]
    event = await database.fetchrow("SELECT attempt, state, reason FROM events WHERE kind = $1", note)
    assert event is not None
    assert tuple(event) == (1, "claimed", settlement.outcome.reason)
    assert await store.settle(second, completed()) is Settled.STORED


@pytest.mark.parametrize("later", [released(), in_doubt()])
async def test_what_is_completed_stays_so(
    store: PostgresStore, claim: Claim, history: History, later: Settlement
) -> None:
    await store.settle(claim, completed())

    assert await store.settle(claim, later) is Settled.SUPERSEDED

    assert (await read(store, claim)).response == a_response()
    assert await history(claim.request_id) == ["claimed", "completed", "contradicted"]


@pytest.mark.parametrize("wrong", [{"token": uuid4()}, {"attempt": 2}])
async def test_a_wrong_token_or_attempt_settles_nothing(
    store: PostgresStore, claim: Claim, wrong: dict[str, object]
) -> None:
    values: dict[str, object] = {"token": claim.token, "attempt": claim.attempt, **wrong}

    forged = Claim(claim.request_id, **values)  # type: ignore[arg-type]

    assert await store.settle(forged, completed()) is Settled.SUPERSEDED
    assert (await read(store, claim)).state is State.CLAIMED


async def test_completed_without_a_response_is_a_mistake(store: PostgresStore, claim: Claim) -> None:
    attempt = Attempt(WirePhase.SENT, status=200)

    with pytest.raises(ValueError, match="has a response"):
        await store.settle(claim, Settlement(Outcome(OutcomeKind.COMPLETED, "status-200"), attempt))


async def test_replays_are_counted(store: PostgresStore, claim: Claim, history: History) -> None:
    await store.settle(claim, completed())

    await store.note(claim.request_id, Note.REPLAYED)
    await store.note(claim.request_id, Note.REPLAYED)

    assert await history(claim.request_id) == ["claimed", "completed", "replayed", "replayed"]


async def test_replays_of_many_actions_are_counted_together(open_store: OpenStore, history: History) -> None:
    batches: list[tuple[str, int]] = []
    store = await open_store(batched=lambda lane, rows: batches.append((lane, rows)))
    claims = await asyncio.gather(*(store.claim(an_action(f"many {number}")) for number in range(20)))
    assert all(isinstance(claim, Claim) for claim in claims)
    batches.clear()

    await asyncio.gather(
        *(store.note(claim.request_id, Note.REPLAYED, f"{n} copies") for n, claim in enumerate(claims))
    )

    assert batches == [("notes", 20)]
    assert [await history(claim.request_id) for claim in claims] == [["claimed", "replayed"]] * 20
