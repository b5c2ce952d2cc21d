"""Encryption at rest: what the tables hold, who can read it, and how keys are changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from onceproxy.core.messages import BodyApart, BytesBody, Response
from onceproxy.core.receipts import Claim, Receipt, RequestId, Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Resolution, Settled, Settlement, Unreadable
from onceproxy.sealing.keyring import Key, Keyring
from onceproxy.store.catalogue import Catalogue
from onceproxy.store.connection import Connections
from onceproxy.store.errors import SecretUnreadable
from onceproxy.store.operator import resolve_by_hand
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.rekeying import Rekeyed, rekey
from onceproxy.store.rows import PART
from onceproxy.store.shared_key import rekey_shared_key
from stores import OpenStore, a_response, an_action, completed, in_doubt

CANARY = b"xyzzy-canary"
OLD, NEW = Key("k1", b"1" * 32), Key("k2", b"2" * 32)
SMALL = CANARY * 3
LARGE = CANARY * (3 * PART // len(CANARY))
HEADERS = ((b"X-Secret", CANARY), (b"Content-Type", b"text/plain"))


def answer_of(body: bytes) -> Response:
    return Response(201, CANARY, HEADERS, BytesBody(body))


async def a_receipt(
    store: PostgresStore, body: bytes = SMALL, settlement: Settlement | None = None, name: str = "pay"
) -> RequestId:
    claim = await store.claim(an_action(name))
    assert isinstance(claim, Claim)
    assert await store.settle(claim, settlement or completed(answer_of(body))) is Settled.STORED
    return claim.request_id


async def read_whole(store: PostgresStore, request_id: RequestId) -> Receipt:
    """The receipt that a copy gets, its body loaded."""
    receipt = await store.read(request_id)
    assert receipt is not None
    if receipt.response is not None and isinstance(receipt.response.body, BodyApart):
        body = await store.load(receipt)
        assert body is not None
        receipt = replace(receipt, response=replace(receipt.response, body=BytesBody(body.read())))
    return receipt


async def dump(database: asyncpg.Connection) -> bytes:
    """All that the tables say, as bytes: texts, and what is behind hexadecimal digits."""
    found = b""
    for table in ("receipts", "parts", "events", "secrets", "instances"):
        for row in await database.fetch(f"SELECT * FROM {table}"):
            for value in row.values():
                for one in value if isinstance(value, list) else [value]:
                    found += one if isinstance(one, bytes) else repr(one).encode()
    return found


@pytest.fixture
async def connections(database_url: str) -> AsyncIterator[Connections]:
    opened = await Connections.open(database_url, 2)
    yield opened
    await opened.close()


@pytest.mark.parametrize("body", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
async def test_an_answer_is_only_readable_with_the_key(
    open_store: OpenStore, database: asyncpg.Connection, body: bytes
) -> None:
    store = await open_store(keyring=Keyring([OLD]))

    request_id = await a_receipt(store, body)

    assert CANARY not in await dump(database)
    assert (await read_whole(store, request_id)).response == answer_of(body)
    assert isinstance(standing := await store.claim(an_action()), Receipt)
    assert standing.response is not None
    assert standing.response.headers == HEADERS


async def test_without_a_key_it_is_as_it_was(open_store: OpenStore, database: asyncpg.Connection) -> None:
    request_id = await a_receipt(await open_store())

    assert CANARY in await dump(database)
    with_keys = await open_store(keyring=Keyring([OLD]))
    assert (await read_whole(with_keys, request_id)).response == answer_of(SMALL)


@pytest.mark.parametrize(
    "settlement", [in_doubt(500), completed(keep_body=False)], ids=["evidence", "not-kept"]
)
async def test_evidence_and_what_is_not_kept(
    open_store: OpenStore, database: asyncpg.Connection, settlement: Settlement
) -> None:
    response = replace(answer_of(SMALL), status=settlement.attempt.status or 201)
    settlement = replace(settlement, attempt=replace(settlement.attempt, response=response))
    store = await open_store(keyring=Keyring([OLD]))

    request_id = await a_receipt(store, settlement=settlement)

    assert CANARY not in await dump(database)
    receipt = await read_whole(store, request_id)
    assert receipt.body_size == len(SMALL)
    assert receipt.response is not None
    assert receipt.response.headers == HEADERS


async def test_what_others_say_is_encrypted_as_well(
    open_store: OpenStore, database: asyncpg.Connection, connections: Connections
) -> None:
    store = await open_store(keyring=Keyring([OLD]))
    said = Resolution(True, Source.OPERATOR, "seen", answer_of(LARGE))
    one = await a_receipt(store, settlement=in_doubt(), name="one")
    other = await a_receipt(store, settlement=in_doubt(), name="other")

    assert await store.resolve(one, 1, said)
    assert await resolve_by_hand(connections, other, said, Keyring([OLD]))
    assert not await resolve_by_hand(connections, other, said, Keyring([OLD]))

    assert CANARY not in await dump(database)
    assert (await read_whole(store, one)).response == answer_of(LARGE)
    assert (await read_whole(store, other)).response == answer_of(LARGE)


UNKNOWN = "'k1', which is not in encryption.keys"
CHANGED = "changed after it was encrypted"


@pytest.mark.parametrize(
    ("keyring", "change", "why"),
    [
        (Keyring(), "SELECT 1", UNKNOWN),
        (Keyring([NEW]), "SELECT 1", UNKNOWN),
        (Keyring([Key("k1", b"9" * 32)]), "SELECT 1", CHANGED),
        (Keyring([OLD]), "UPDATE receipts SET body = set_byte(body, 60, get_byte(body, 60) # 1)", CHANGED),
        (Keyring([OLD]), "UPDATE receipts SET status = 200", CHANGED),
        (Keyring([OLD]), "UPDATE receipts SET attempt = 2", CHANGED),
        (
            Keyring([OLD]),
            "UPDATE receipts SET header_values = o.header_values, body = o.body FROM receipts AS o "
            "WHERE o.request_id <> receipts.request_id",
            CHANGED,
        ),
    ],
    ids=["no-keys", "other-keys", "wrong-key", "body", "status", "attempt", "swapped"],
)
async def test_what_can_not_be_decrypted_is_told(
    open_store: OpenStore, database: asyncpg.Connection, keyring: Keyring, change: str, why: str
) -> None:
    store = await open_store(keyring=Keyring([OLD]))
    request_id = await a_receipt(store)
    await a_receipt(store, name="other")
    await database.execute(change)

    receipt = await (await open_store(keyring=keyring)).read(request_id)

    assert receipt is not None
    assert receipt.state is State.COMPLETED
    assert why in (receipt.unreadable or "")
    assert receipt.response is not None
    assert receipt.response.headers == ()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE parts SET data = set_byte(data, 70, get_byte(data, 70) # 1) WHERE number = 1",
        "UPDATE parts SET data = (SELECT data FROM parts WHERE number = 0) WHERE number = 1",
    ],
)
async def test_a_part_that_was_changed_or_moved(
    open_store: OpenStore, database: asyncpg.Connection, change: str
) -> None:
    store = await open_store(keyring=Keyring([OLD]))
    receipt = await store.read(await a_receipt(store, LARGE))
    assert receipt is not None
    await database.execute(change)

    with pytest.raises(Unreadable, match="changed after"):
        await store.load(receipt)


async def test_the_catalogue_shows_sizes_and_bodies(open_store: OpenStore, database_url: str) -> None:
    store = await open_store(keyring=Keyring([OLD]))
    ids = {await a_receipt(store, body, name=str(len(body))): body for body in (SMALL, LARGE)}

    async with await Catalogue.open(database_url, keyring=Keyring([OLD])) as catalogue:
        assert {row.request_id: row.body_size for row in await catalogue.list_receipts()} == {
            request_id: len(body) for request_id, body in ids.items()
        }
        for request_id, content in ids.items():
            found = await catalogue.show(request_id)
            assert found is not None
            body = await catalogue.body(found[0])
            assert body is not None
            assert body.read() == content
    async with await Catalogue.open(database_url) as catalogue:
        found = await catalogue.show(request_id)
        assert found is not None
        with pytest.raises(Unreadable, match="k1"):
            await catalogue.body(found[0])


@pytest.mark.parametrize("former", [None, OLD], ids=["clear", "k1"])
async def test_rekey_rewrites_all_and_copies_never_notice(
    open_store: OpenStore, database: asyncpg.Connection, connections: Connections, former: Key | None
) -> None:
    store = await open_store(keyring=Keyring([former] if former else []))
    both = await open_store(keyring=Keyring([NEW, *([former] if former else [])]))
    ids = {await a_receipt(store, body, name=f"{n}"): body for n, body in enumerate([b"", SMALL, LARGE])}
    doubtful = await a_receipt(store, settlement=in_doubt(500), name="doubt")
    not_kept = await a_receipt(store, settlement=completed(answer_of(SMALL), keep_body=False), name="none")
    await a_receipt(both, name="new already")
    before = await database.fetch("SELECT request_id, changed_at, expires_at, state FROM receipts ORDER BY 1")
    seen = {one: await both.read(one) for one in ids}
    pages: list[Rekeyed] = []

    done = await rekey(
        connections, Keyring([NEW, *([former] if former else [])]), pages.append, page=2, rest=0
    )

    assert (done.looked, done.rewritten, done.unreadable) == (6, 5, ())
    assert len(pages) == 4
    assert CANARY not in await dump(database)
    assert before == await database.fetch(
        "SELECT request_id, changed_at, expires_at, state FROM receipts ORDER BY 1"
    )
    new_only = await open_store(keyring=Keyring([NEW]))
    for request_id, body in ids.items():
        assert (await read_whole(new_only, request_id)).response == answer_of(body)
    assert (await read_whole(new_only, doubtful)).response == a_response(500)
    assert (await read_whole(new_only, not_kept)).body_size == len(SMALL)
    # Who has seen a receipt before it was rewritten still gets its body.
    for request_id, receipt in seen.items():
        if receipt is not None and receipt.response is not None and ids[request_id] is LARGE:
            loaded = await both.load(receipt)
            assert loaded is not None
            assert loaded.read() == LARGE
    assert (await rekey(connections, Keyring([NEW]), rest=0)).rewritten == 0


async def test_rekey_leaves_what_it_can_not_read(
    open_store: OpenStore, database: asyncpg.Connection, connections: Connections
) -> None:
    store = await open_store(keyring=Keyring([OLD]))
    request_id = await a_receipt(store, LARGE)
    before = await dump(database)

    done = await rekey(connections, Keyring([NEW]), rest=0)

    assert done.rewritten == 0
    assert [(one, UNKNOWN in why) for one, why in done.unreadable] == [(request_id, True)]
    assert await dump(database) == before
    with pytest.raises(ValueError, match="no key"):
        await rekey(connections, Keyring())


async def test_unknown_keys_are_found_at_the_start(open_store: OpenStore) -> None:
    store = await open_store(keyring=Keyring([OLD]))
    await a_receipt(store)

    assert await store.unknown_keys() == []
    assert await (await open_store(keyring=Keyring([NEW]))).unknown_keys() == ["k1"]
    assert await (await open_store()).unknown_keys() == ["k1"]


@pytest.mark.parametrize("rings", [((), (OLD,)), ((OLD,), ()), ((OLD,), (NEW,))])
async def test_parts_of_a_process_that_died_do_not_mix_with_others(
    open_store: OpenStore, database: asyncpg.Connection, rings: tuple[tuple[Key, ...], tuple[Key, ...]]
) -> None:
    first, second = [await open_store(keyring=Keyring(ring)) for ring in rings]
    claim = await first.claim(an_action())
    assert isinstance(claim, Claim)
    # It died when some parts were written: the settlement is refused as the receipt has another attempt.
    await database.execute("UPDATE receipts SET attempt = 7")
    await first.settle(claim, completed(answer_of(LARGE)))
    await database.execute("UPDATE receipts SET attempt = 1")
    await database.execute("DELETE FROM parts WHERE number = 1")

    assert await second.settle(claim, completed(answer_of(LARGE))) is Settled.STORED

    keys: Any = [OLD, NEW]
    reader = await open_store(keyring=Keyring(keys))
    assert (await read_whole(reader, claim.request_id)).response == answer_of(LARGE)


async def test_many_at_once(open_store: OpenStore, database: asyncpg.Connection) -> None:
    store = await open_store(keyring=Keyring([OLD]))

    ids = await asyncio.gather(*(a_receipt(store, name=f"{number}") for number in range(50)))

    assert CANARY not in await dump(database)
    assert (
        len(
            {
                await database.fetchval("SELECT body FROM receipts WHERE request_id = $1", one.digest)
                for one in ids
            }
        )
        == 50
    )


async def test_the_shared_key_is_encrypted_and_stays_the_same(
    open_store: OpenStore, database: asyncpg.Connection, connections: Connections, database_url: str
) -> None:
    key = (await open_store()).credential_key

    assert await rekey_shared_key(connections, Keyring([OLD]))
    assert not await rekey_shared_key(connections, Keyring([OLD]))

    assert key not in await dump(database)
    assert (await open_store(keyring=Keyring([OLD]))).credential_key == key
    assert await rekey_shared_key(connections, Keyring([NEW, OLD]))
    assert (await open_store(keyring=Keyring([NEW]))).credential_key == key
    for ring in (None, Keyring([OLD])):
        with pytest.raises(SecretUnreadable, match="'k2', which is not in"):
            await PostgresStore.open(database_url, keyring=ring)
    with pytest.raises(SecretUnreadable, match="'k2', which is not in"):
        await rekey_shared_key(connections, Keyring([OLD]))


async def test_a_role_that_may_not_change_the_shared_key_is_told_who_may(
    database_url: str, database: asyncpg.Connection
) -> None:
    role = "plain_" + database_url.split("?")[0].rsplit("/", 1)[1]
    await database.execute(f"CREATE ROLE {role} LOGIN")
    await database.execute(f"GRANT SELECT ON secrets TO {role}")
    connections = await Connections.open(database_url.replace("postgres@", f"{role}@"), 2)
    try:
        with pytest.raises(SecretUnreadable, match="as the owner"):
            await rekey_shared_key(connections, Keyring([OLD]))
    finally:
        await connections.close()
        await database.execute(f"DROP OWNED BY {role}")
        await database.execute(f"DROP ROLE {role}")
