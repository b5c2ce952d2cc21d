"""Many at once in one statement: each gets what it would have got alone, whatever becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from integration.store.conftest import History, somebody_claims
from integration.store.relay import Cut, Relay
from onceproxy.core.policies import InDoubt
from onceproxy.core.receipts import Claim, Receipt
from onceproxy.core.states import State
from onceproxy.guard.ports import Settled, SettlementRefused, StoreUnavailable
from onceproxy.store import abandoned, claims, connection
from onceproxy.store.postgres import PostgresStore
from stores import OpenStore, a_response, an_action, completed, in_doubt, released

NAMES = [f"n{number}" for number in range(20)]

ROUNDS = 25

REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON receipts
    FOR EACH ROW WHEN (NEW.url LIKE '%/poison' AND NEW.state = '{state}') EXECUTE FUNCTION refuse();
"""


WAITING = """
SELECT count(pg_terminate_backend(pid))
FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FROM receipts%'
"""


class Sizes:
    """Collects the sizes of batches."""

    def __init__(self) -> None:
        self.claims: list[int] = []
        self.settlements: list[int] = []
        self.looks: list[int] = []

    def __call__(self, lane: str, rows: int) -> None:
        {"claims": self.claims, "settlements": self.settlements, "looks": self.looks}[lane].append(rows)


@pytest.fixture
def sizes() -> Sizes:
    return Sizes()


@pytest.fixture
async def store(open_store: OpenStore, sizes: Sizes) -> PostgresStore:
    return await open_store(batched=sizes)


async def claim_all(store: PostgresStore, names: Sequence[str]) -> list[Claim]:
    found = await asyncio.gather(*(store.claim(an_action(name)) for name in names))
    claims = [one for one in found if isinstance(one, Claim)]
    assert len(claims) == len(names)
    return claims


async def settle_all(store: PostgresStore, claims: Sequence[Claim]) -> list[Settled]:
    return await asyncio.gather(*(store.settle(claim, completed()) for claim in claims))


async def test_who_comes_together_shares_a_commit(
    store: PostgresStore, sizes: Sizes, history: History
) -> None:
    claims = await claim_all(store, NAMES)
    settled = await settle_all(store, claims)

    assert (sizes.claims, sizes.settlements) == ([20], [20])
    assert {claim.attempt for claim in claims} == {1}
    assert settled == [Settled.STORED] * 20
    for claim, name in zip(claims, NAMES, strict=True):
        assert claim.request_id == an_action(name).request_id
        assert await history(claim.request_id) == ["claimed", "completed"]


async def test_what_is_stored_together_is_what_would_be_stored_alone(
    store: PostgresStore, database: asyncpg.Connection, sizes: Sizes
) -> None:
    odd = a_response(200, bytes(range(256)), ((b'X-"', b'\\ "{},\xff'), (b"Empty", b""), (b"NULL", b"NULL")))
    settlements = [
        *(completed(), completed(odd), completed(a_response(204, b"", ())), completed(odd, keep_body=False)),
        *(released(), released(None), in_doubt(), in_doubt(502)),
    ]
    scopes = [(), ("a", "b"), ('"', "\\"), ("", "NULL"), ("{}", ","), ("\0",), ("é",), ("c",)]

    async def run(together: bool) -> list[dict[str, object]]:
        await database.execute("TRUNCATE receipts, events")
        actions = [an_action(f"m{at}", scope=scope) for at, scope in enumerate(scopes)]
        claims = [await store.claim(action) for action in actions] if not together else []
        claims += await asyncio.gather(*(store.claim(action) for action in actions)) if together else []
        work = [store.settle(claim, one) for claim, one in zip(claims, settlements, strict=True)]  # type: ignore[arg-type]
        if together:
            await asyncio.gather(*work)
        else:
            # Whether by the statement for one or for many, a receipt is the same.
            store._refused |= {claim.token for claim in claims}  # type: ignore[union-attr]
            for one in work:
                await one
        rows = await database.fetch("SELECT * FROM receipts ORDER BY request_id")
        told = await database.fetch(
            "SELECT request_id, kind, attempt, state, phase, reason, detail FROM events ORDER BY 1, 2"
        )
        never = {"token", "created_at", "changed_at", "expires_at", "forget_at"}
        return [
            *({name: value for name, value in row.items() if name not in never} for row in rows),
            *(dict(row) for row in told),
        ]

    alone = await run(together=False)
    together = await run(together=True)

    assert together == alone
    assert sizes.claims == [1] * 8 + [8]
    assert sizes.settlements == [8]


async def test_copies_that_come_together_share_a_look(store: PostgresStore, sizes: Sizes) -> None:
    names = [f"copied {number}" for number in range(40)]
    claims = await claim_all(store, names)
    bodies = [name.encode() for name in names]
    ends = [completed(a_response(body=body)) for body in bodies]
    await asyncio.gather(*(store.settle(*both) for both in zip(claims[:38], ends[:38], strict=True)))
    await store.settle(claims[38], in_doubt())

    looks = [store.read(claim.request_id) for claim in claims]
    *found, nothing = await asyncio.gather(*looks, store.read(an_action("unknown").request_id))
    copies = await asyncio.gather(*(store.claim(an_action(name)) for name in names))

    # No more at once than there is memory for: each may bring a body along.
    assert sizes.looks == [32, 9, 32, 8]
    assert nothing is None
    for claim, body, *seen in zip(claims[:38], bodies[:38], found[:38], copies[:38], strict=True):
        for one in seen:
            assert isinstance(one, Receipt)
            assert one.response is not None
            assert (one.request_id, one.response.body.read()) == (claim.request_id, body)
    for one, other in zip(found[38:], copies[38:], strict=True):
        assert isinstance(one, Receipt)
        assert isinstance(other, Receipt)
        assert one.state is other.state
    assert [one.state for one in found[38:] if one is not None] == [State.IN_DOUBT, State.CLAIMED]


async def test_a_look_that_fails_for_many_is_had_alone(
    store: PostgresStore, sizes: Sizes, database: asyncpg.Connection
) -> None:
    claims = await claim_all(store, NAMES)
    await settle_all(store, claims)
    cut = 0
    async with database.transaction():
        await database.execute("LOCK TABLE receipts IN ACCESS EXCLUSIVE MODE")
        reads = [asyncio.ensure_future(store.read(claim.request_id)) for claim in claims]
        while not cut:
            await asyncio.sleep(0.01)
            cut = await database.fetchval(WAITING)

    found = await asyncio.gather(*reads)

    assert (cut, sizes.looks) == (1, [20])
    assert [one.state if one is not None else None for one in found] == [State.COMPLETED] * 20


async def test_a_batch_of_all_sorts(store: PostgresStore, sizes: Sizes, history: History) -> None:
    await settle_all(store, await claim_all(store, ["done"]))
    for name, settlement in (("released", released()), ("doubt", in_doubt()), ("again", in_doubt())):
        [claim] = await claim_all(store, [name])
        await store.settle(claim, settlement)
    await claim_all(store, ["held"])
    sizes.claims.clear()

    names = ["done", "released", "doubt", "held", "new", "other"]
    found = await asyncio.gather(
        *(store.claim(an_action(name)) for name in names),
        store.claim(an_action("again", in_doubt=InDoubt.EXECUTE)),
    )

    assert sizes.claims == [7]
    assert [one.state if isinstance(one, Receipt) else one.attempt for one in found] == [
        *(State.COMPLETED, 2, State.IN_DOUBT, State.CLAIMED, 1, 1),
        2,
    ]
    assert [one.doubtful for one in found if isinstance(one, Claim)] == [False, False, False, True]
    assert await history(an_action("new").request_id) == ["claimed"]


async def test_settlements_of_all_sorts(
    store: PostgresStore, database: asyncpg.Connection, sizes: Sizes, history: History
) -> None:
    names = ["fresh", "lost", "gone", "taken", "twice"]
    fresh, lost, gone, taken, twice = await claim_all(store, names)
    await database.execute(
        "UPDATE receipts SET state = 'in_doubt', previous = 'claimed', conclusion = 'owner-lost' "
        "WHERE request_id = $1",
        lost.request_id.digest,
    )
    await database.execute("DELETE FROM receipts WHERE request_id = $1", gone.request_id.digest)
    await store.settle(taken, in_doubt())
    await store.claim(an_action("taken", in_doubt=InDoubt.EXECUTE))
    await store.settle(twice, completed())
    sizes.settlements.clear()

    settled = await settle_all(store, [fresh, lost, gone, taken, twice])

    assert sizes.settlements == [5]
    assert settled == [
        *(Settled.STORED, Settled.STORED, Settled.SUPERSEDED, Settled.SUPERSEDED, Settled.STORED),
    ]
    assert [(await history(an_action(name).request_id))[-1] for name in names] == [
        *("completed", "healed", "contradicted", "executed-twice", "completed"),
    ]


async def test_a_claim_that_the_database_refuses_fails_alone(
    store: PostgresStore, database: asyncpg.Connection, sizes: Sizes
) -> None:
    await database.execute(REFUSE.format(state="claimed"))

    found = await asyncio.gather(
        *(store.claim(an_action(name)) for name in NAMES[:5]),
        store.claim(an_action("bad", url="https://api.example.com/poison")),
        *(store.claim(an_action(name)) for name in NAMES[5:]),
        return_exceptions=True,
    )

    assert sizes.claims == [21]
    assert isinstance(found[5], asyncpg.CheckViolationError)
    assert [type(one) for one in found if one is not found[5]] == [Claim] * 20
    assert await database.fetchval("SELECT count(*) FROM events WHERE kind = 'claimed'") == 20


async def test_a_settlement_that_the_database_refuses_fails_alone_and_in_one_batch_only(
    store: PostgresStore, database: asyncpg.Connection, sizes: Sizes, history: History
) -> None:
    claims = await claim_all(store, NAMES)
    bad = await store.claim(an_action("bad", url="https://api.example.com/poison"))
    assert isinstance(bad, Claim)
    await database.execute(REFUSE.format(state="completed"))

    refused, *settled = await asyncio.gather(
        store.settle(bad, completed()),
        *(store.settle(claim, completed()) for claim in claims),
        return_exceptions=True,
    )

    assert isinstance(refused, SettlementRefused)
    assert settled == [Settled.STORED] * 20
    assert sizes.settlements == [21]
    with pytest.raises(SettlementRefused):
        await store.settle(bad, completed())
    assert sizes.settlements == [21]
    await database.execute("DROP TRIGGER refuse ON receipts")
    assert await store.settle(bad, completed()) is Settled.STORED
    assert await history(bad.request_id) == ["claimed", "completed"]


async def test_a_settlement_whose_row_is_locked_holds_up_no_other(
    store: PostgresStore, database: asyncpg.Connection
) -> None:
    held, *others = await claim_all(store, NAMES)
    async with database.transaction():
        await database.execute(
            "SELECT FROM receipts WHERE request_id = $1 FOR UPDATE", held.request_id.digest
        )
        waiting = asyncio.create_task(store.settle(held, completed()))

        assert await settle_all(store, others) == [Settled.STORED] * 19

        assert not waiting.done()
    assert await waiting is Settled.STORED


async def test_a_claim_whose_row_somebody_holds_fails_no_other(
    open_store: OpenStore,
    database: asyncpg.Connection,
    sizes: Sizes,
    history: History,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = await open_store(batched=sizes, patience=3.0)
    await claim_all(store, ["warm"])
    async with somebody_claims(database, store, "held"):
        held = [asyncio.create_task(store.claim(an_action("held"))) for _ in range(5)]
        await claim_all(store, NAMES)

        assert not any(task.done() for task in held)
        # It is known by now: who comes with a copy of it does not even share a batch with that.
        later = asyncio.create_task(store.claim(an_action("held")))
        await claim_all(store, [f"later {name}" for name in NAMES])

        found = await asyncio.gather(*held, return_exceptions=True)
        assert {type(one) for one in found} == {StoreUnavailable}
        assert {str(one) for one in found} == {"another transaction of the database holds this receipt"}
    with suppress(StoreUnavailable):  # its patience may have been over before
        await later
    assert (sizes.claims[:3], caplog.text.count("failed")) == ([1, 21, 20], 1)
    for name in NAMES:
        assert await history(an_action(name).request_id) == ["claimed"]


async def test_a_batch_that_is_given_up_and_commits_later_leaves_no_claim_behind(
    open_store: OpenStore,
    database: asyncpg.Connection,
    history: History,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def no_limit(connection: asyncpg.Connection) -> None:
        """As where the server does something else for long: nothing ends what is under way there."""

    monkeypatch.setattr(connection, "_limit_lock_waits", no_limit)
    monkeypatch.setattr(claims, "BATCH_TRY", 0.1)
    monkeypatch.setattr(claims, "TRY", 0.1)
    monkeypatch.setattr(abandoned, "LOOKS", (0.0,))
    monkeypatch.setattr(abandoned, "EVERY", 0.05)
    store = await open_store(patience=0.2)
    # A batch goes by the keys: it has written all but the last when it waits.
    *mates, last = sorted(NAMES, key=lambda name: an_action(name).request_id.digest)
    async with somebody_claims(database, store, last):
        found = await asyncio.gather(
            *(store.claim(an_action(name)) for name in NAMES), return_exceptions=True
        )
        assert {type(one) for one in found} == {StoreUnavailable}
        async with asyncio.timeout(20):
            while len(store._abandoned._late) < len(NAMES):
                await asyncio.sleep(0.01)

    async with asyncio.timeout(20):
        while store._abandoned._late:
            await asyncio.sleep(0.01)
    assert await database.fetchval("SELECT count(*) FROM receipts WHERE state = 'claimed'") == 0
    assert [await history(an_action(name).request_id) for name in mates] == [["claimed", "abandoned"]] * 19
    assert {claim.attempt for claim in await claim_all(store, mates)} == {2}


async def test_who_is_cancelled_disturbs_nobody_and_its_claim_is_given_back(
    store: PostgresStore, database: asyncpg.Connection, history: History, sizes: Sizes
) -> None:
    await claim_all(store, ["warm"])
    async with database.transaction():
        # Holds the batch up inside the database, and so its commit after the cancellation.
        await database.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        asking = [asyncio.create_task(store.claim(an_action(name))) for name in NAMES]
        await until(database, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        asking[7].cancel()
        await asyncio.wait({asking[7]})
    found = await asyncio.gather(*asking, return_exceptions=True)

    assert sizes.claims == [1, 20]
    assert isinstance(found.pop(7), asyncio.CancelledError)
    assert [type(one) for one in found] == [Claim] * 19
    await until(database, "SELECT EXISTS (SELECT FROM events WHERE kind = 'abandoned')")
    assert await history(an_action(NAMES[7]).request_id) == ["claimed", "abandoned"]
    again = await store.claim(an_action(NAMES[7]))
    assert isinstance(again, Claim)
    assert again.attempt == 2


async def test_who_is_cancelled_before_its_batch_is_never_claimed(
    store: PostgresStore, database: asyncpg.Connection, history: History
) -> None:
    await claim_all(store, ["warm"])
    async with database.transaction():
        await database.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        under_way = []
        for number in (1, 2):
            under_way.append(asyncio.create_task(store.claim(an_action(f"first{number}"))))
            await until(database, f"SELECT count(*) = {number} FROM pg_locks WHERE NOT granted")
        late = asyncio.create_task(store.claim(an_action()))
        await asyncio.sleep(0)
        late.cancel()
        await asyncio.wait({late})
    await asyncio.gather(*under_way)
    await claim_all(store, ["after"])

    assert await history(an_action().request_id) == []


@pytest.fixture
async def relay(database_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with Relay(database_url, tmp_path) as relay:
        yield relay


@pytest.mark.parametrize("cut", list(Cut))
async def test_a_batch_whose_connection_breaks_in_its_commit_is_done_once(
    open_store: OpenStore, relay: Relay, history: History, sizes: Sizes, cut: Cut
) -> None:
    store = await open_store(relay.url, pool_size=2, lease=600, heartbeat=200, batched=sizes)
    await settle_all(store, await claim_all(store, ["warm"]))
    relay.cuts.append(cut)

    claims = await claim_all(store, NAMES)

    assert relay.done == [cut]
    assert {claim.attempt for claim in claims} == {1}
    relay.cuts.append(cut)

    settled = await settle_all(store, claims)

    assert relay.done == [cut, cut]
    assert settled == [Settled.STORED] * 20
    assert (sizes.claims, sizes.settlements) == ([1, 20], [1, 20])
    for name in NAMES:
        assert await history(an_action(name).request_id) == ["claimed", "completed"]


async def test_two_proxies_that_claim_the_same_many_never_wait_in_a_circle(
    open_store: OpenStore, database: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    stores = [await open_store(), await open_store()]
    for turn in range(ROUNDS):
        names = [f"{turn}-{number}" for number in range(40)]

        # Each comes from another end, so that they meet in the middle unless both go by the keys.
        found = await asyncio.gather(
            *(stores[0].claim(an_action(name)) for name in names),
            *(stores[1].claim(an_action(name)) for name in reversed(names)),
        )

        claims = [one for one in found if isinstance(one, Claim)]
        assert len({claim.request_id for claim in claims}) == len(claims) == 40

    assert await database.fetchval("SELECT count(*) FROM events WHERE kind = 'claimed'") == 40 * ROUNDS
    assert "failed" not in caplog.text


async def until(database: asyncpg.Connection, question: str) -> None:
    async with asyncio.timeout(10):
        while not await database.fetchval(question):
            await asyncio.sleep(0.01)
