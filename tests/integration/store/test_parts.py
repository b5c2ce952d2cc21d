"""Large bodies: parts that count only with their settlement, and are read back all of them or none."""

from __future__ import annotations

import asyncio
import hashlib

import asyncpg
import pytest

from integration.store.conftest import History
from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.messages import BodyApart, Response, digest_of
from onceproxy.core.outcomes import Outcome, OutcomeKind
from onceproxy.core.receipts import Claim, Receipt
from onceproxy.core.states import State
from onceproxy.guard.capture import Capture
from onceproxy.guard.ports import Settled, Settlement
from onceproxy.store import parts
from onceproxy.store.catalogue import Catalogue
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.retention import collect
from onceproxy.store.rows import PART
from onceproxy.store.settlements import PartsMissing, settle
from stores import OpenStore, an_action, completed, in_doubt, released
from upstreams import PATIENCE

COUNT = "SELECT count(*) FROM parts"


def a_body(size: int) -> Capture:
    body = Capture()
    body.write(hashlib.shake_128(b"any bytes").digest(size))
    return body


def large(body: Capture, *, keep_body: bool = True) -> Settlement:
    return completed(Response(200, b"OK", ((b"A", b"b"),), body), keep_body=keep_body)


@pytest.fixture
async def claim(store: PostgresStore) -> Claim:
    claimed = await store.claim(an_action())
    assert isinstance(claimed, Claim)
    return claimed


async def read(store: PostgresStore, claim: Claim) -> Receipt:
    receipt = await store.read(claim.request_id)
    assert receipt is not None
    return receipt


@pytest.mark.parametrize("size", [PART + 1, 2 * PART, 5 * PART + 77])
async def test_a_large_body_comes_back_as_it_was(
    store: PostgresStore, claim: Claim, database: asyncpg.Connection, size: int
) -> None:
    body = a_body(size)
    assert await store.settle(claim, large(body)) is Settled.STORED

    receipt = await read(store, claim)
    assert receipt.response is not None
    assert receipt.response.body == BodyApart(size, body.digest)
    with pytest.raises(RuntimeError, match="was not loaded"):
        receipt.response.body.read()
    loaded = await store.load(receipt)
    assert loaded is not None
    assert loaded.read() == body.read()
    assert (receipt.body_size, receipt.body_digest) == (size, digest_of(loaded))
    assert await database.fetchval(COUNT) == -(-size // PART)
    assert await database.fetchval("SELECT max(octet_length(data)) FROM parts") == PART


async def test_a_body_of_one_part_stays_in_its_row(
    store: PostgresStore, claim: Claim, database: asyncpg.Connection
) -> None:
    body = Capture()
    body.write(b"x" * PART)
    await store.settle(claim, large(body))

    receipt = await read(store, claim)
    assert receipt.response is not None
    assert receipt.response.body.read() == b"x" * PART
    assert await database.fetchval(COUNT) == 0


async def test_what_is_not_kept_and_what_was_released_has_no_parts(
    store: PostgresStore, claim: Claim, database: asyncpg.Connection
) -> None:
    attempt = Attempt(WirePhase.BODY_RECEIVED, Response(429, b"", (), a_body(3 * PART)), status=429)
    await store.settle(claim, Settlement(Outcome(OutcomeKind.RELEASED, "status-429"), attempt))
    second = await store.claim(an_action())
    assert isinstance(second, Claim)
    await store.settle(second, large(a_body(3 * PART), keep_body=False))

    assert await database.fetchval(COUNT) == 0
    assert (await read(store, claim)).body_kept is False


async def test_a_repetition_is_stored_once(store: PostgresStore, claim: Claim, history: History) -> None:
    settlement = large(a_body(3 * PART))

    assert [await store.settle(claim, settlement) for _ in range(2)] == [Settled.STORED] * 2

    assert await history(claim.request_id) == ["claimed", "completed"]
    assert await store.load(await read(store, claim)) is not None


@pytest.mark.parametrize("damage", ["DELETE FROM parts WHERE number = 1", "UPDATE parts SET data = 'x'"])
async def test_a_settlement_does_not_count_on_parts_that_the_server_forgot(
    store: PostgresStore, claim: Claim, database: asyncpg.Connection, damage: str
) -> None:
    settlement = large(a_body(3 * PART))
    await store._parts.write(claim, settlement)
    await database.execute(damage + ("" if "WHERE" in damage else " WHERE number = 1"))

    with pytest.raises(PartsMissing):
        await settle(store._connections, claim, settlement, store.instance)
    assert (await read(store, claim)).state is State.CLAIMED

    await database.execute("DELETE FROM parts WHERE data = 'x'")
    assert await store.settle(claim, settlement) is Settled.STORED
    assert await store.load(await read(store, claim)) is not None


async def test_what_was_written_before_an_outage_is_not_written_again(
    store: PostgresStore, claim: Claim, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    settlement = large(a_body(3 * PART))
    await store._parts.write(claim, settlement)
    await database.execute("DELETE FROM parts WHERE number = 1")
    calls: list[tuple[str, object]] = []
    run = store._connections.run

    async def noted(name: str, *values: object, **settings: float) -> asyncpg.Record | None:
        calls.append((name, values[2]) if name == "write_part" else (name, None))
        return await run(name, *values, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(store._connections, "run", noted)
    await store.settle(claim, settlement)

    assert calls == [("list_parts", None), ("write_part", 1), ("settle", None)]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM parts WHERE number = 2",
        "UPDATE parts SET data = set_byte(data, 7, get_byte(data, 7) # 1) WHERE number = 1",
        "UPDATE parts SET data = '' WHERE number = 0",
        "DELETE FROM receipts",
        "UPDATE receipts SET attempt = attempt + 1",
    ],
)
async def test_a_body_that_is_not_whole_is_not_given(
    store: PostgresStore, claim: Claim, database: asyncpg.Connection, damage: str
) -> None:
    await store.settle(claim, large(a_body(3 * PART)))
    receipt = await read(store, claim)

    await database.execute(damage)

    assert await store.load(receipt) is None


async def test_the_parts_of_one_attempt_are_not_those_of_another(
    store: PostgresStore, claim: Claim, database: asyncpg.Connection
) -> None:
    await store._parts.write(claim, large(a_body(4 * PART)))
    await store.settle(claim, released())
    second = await store.claim(an_action())
    assert isinstance(second, Claim)
    body = Capture()
    body.write(b"y" * (3 * PART))
    await store.settle(second, large(body))

    loaded = await store.load(await read(store, claim))

    assert loaded is not None
    assert loaded.read() == body.read()
    await database.execute("UPDATE parts SET written_at = now() - interval '3 days'")
    assert (await collect(store._connections)).parts == 4  # those that no receipt took
    assert await store.load(await read(store, claim)) is not None


async def test_parts_go_with_their_receipt(
    store: PostgresStore, claim: Claim, database: asyncpg.Connection
) -> None:
    await store.settle(claim, large(a_body(3 * PART)))
    await database.execute("UPDATE receipts SET expires_at = clock_timestamp()")
    assert (await collect(store._connections)).expired == 1

    assert await database.fetchval(COUNT) == 0
    assert (await read(store, claim)).state is State.TOMBSTONE


async def test_a_large_part_of_an_answer_is_kept_as_evidence(store: PostgresStore, claim: Claim) -> None:
    body = a_body(3 * PART)
    cut = Attempt(
        WirePhase.HEAD_RECEIVED,
        failure=Failure.CONNECTION_LOST,
        status=200,
        partial=Response(200, b"OK", (), body),
    )

    await store.settle(claim, Settlement(in_doubt().outcome, cut))

    receipt = await read(store, claim)
    assert receipt.partial
    loaded = await store.load(receipt)
    assert loaded is not None
    assert loaded.read() == body.read()


async def test_people_get_the_body_too(store: PostgresStore, claim: Claim, database_url: str) -> None:
    body = a_body(3 * PART)
    await store.settle(claim, large(body))

    async with await Catalogue.open(database_url) as catalogue:
        shown = await catalogue.show(claim.request_id)
        assert shown is not None
        content = await catalogue.body(shown[0])
    assert content is not None
    assert content.read() == body.read()


async def test_copies_that_come_together_share_what_was_read(
    store: PostgresStore, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = a_body(3 * PART)
    await store.settle(claim, large(body))
    receipt = await read(store, claim)
    reads = 0
    run = store._connections.run

    async def counted(name: str, *values: object, **settings: float) -> asyncpg.Record | None:
        nonlocal reads
        reads += name == "read_part"
        return await run(name, *values, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(store._connections, "run", counted)
    loaded = await asyncio.gather(*(store.load(receipt) for _ in range(50)))

    assert reads <= parts.READERS * 3
    bodies = {one.read() if one is not None else b"" for one in loaded}
    assert bodies == {body.read()}
    del loaded
    await asyncio.sleep(0)  # the event loop holds what woke this step
    before = reads
    assert await store.load(receipt) is not None
    assert reads == before + 3  # what nobody needs any more is let go of


async def test_few_are_written_and_read_at_once(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(pool_size=10)
    allowed = {"write_part": parts.WRITERS, "read_part": parts.READERS}
    at_once = dict.fromkeys(allowed, 0)
    most = dict(at_once)
    full = {name: asyncio.Event() for name in allowed}
    run = store._connections.run

    async def counted(name: str, *values: object, **settings: float) -> asyncpg.Record | None:
        if name not in at_once:
            return await run(name, *values, **settings)  # type: ignore[arg-type]
        at_once[name] += 1
        most[name] = max(most[name], at_once[name])
        if at_once[name] == allowed[name]:
            full[name].set()
        try:
            async with asyncio.timeout(PATIENCE):
                await full[name].wait()
            return await run(name, *values, **settings)  # type: ignore[arg-type]
        finally:
            at_once[name] -= 1

    monkeypatch.setattr(store._connections, "run", counted)
    claims = [await store.claim(an_action(f"{number}")) for number in range(8)]

    async def around(claim: Claim | Receipt) -> None:
        assert isinstance(claim, Claim)
        await store.settle(claim, large(a_body(2 * PART)))
        assert await store.load(await read(store, claim)) is not None

    await asyncio.gather(*map(around, claims))

    assert most == allowed
