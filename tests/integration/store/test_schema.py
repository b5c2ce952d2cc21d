"""Migrations, and what the tables refuse whoever writes to them."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import pytest

from onceproxy.core.receipts import Claim
from onceproxy.store import schema
from onceproxy.store.errors import SchemaMissing, SchemaTooNew
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.schema import Migration, all_migrations, migrate
from stores import OpenStore, an_action, completed, in_doubt, released

NEWEST = len(all_migrations())


async def test_five_at_once_migrate_once(empty_database_url: str) -> None:
    connections = [await asyncpg.connect(empty_database_url) for _ in range(5)]

    applied = await asyncio.gather(*(migrate(connection) for connection in connections))

    assert sorted(applied) == [0, 0, 0, 0, len(all_migrations())]
    versions = await connections[0].fetch("SELECT version FROM schema_versions ORDER BY version")
    assert [row["version"] for row in versions] == [migration.version for migration in all_migrations()]
    for connection in connections:
        await connection.close()


async def test_five_stores_open_an_empty_database_at_once(empty_database_url: str) -> None:
    stores = await asyncio.gather(*(PostgresStore.open(empty_database_url, pool_size=2) for _ in range(5)))

    assert len({store.credential_key for store in stores}) == 1
    assert len(stores[0].credential_key) == 32
    for store in stores:
        await store.close()


EXPAND = "ALTER TABLE receipts ADD COLUMN later text NOT NULL DEFAULT 'x'"


def as_the_next_release(monkeypatch: pytest.MonkeyPatch, *more: Migration) -> None:
    """Have this code know further migrations."""
    monkeypatch.setattr(schema, "all_migrations", lambda: (*all_migrations(), *more))


async def test_a_newer_schema_that_only_adds_is_worked_with(
    database_url: str, database: asyncpg.Connection, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await open_store()
    with monkeypatch.context() as newer:
        as_the_next_release(newer, Migration(NEWEST + 1, "later", EXPAND))
        assert await migrate(database) == 1

    started_later = await open_store()
    claim = await running.claim(an_action())
    assert isinstance(claim, Claim)
    await started_later.settle(claim, completed())
    assert await migrate(database) == 0
    assert await database.fetchval("SELECT max(version) FROM schema_versions") == NEWEST + 1


async def test_a_newer_schema_is_refused_where_it_took_away_what_is_needed(
    database_url: str, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Migration(NEWEST + 1, "later", EXPAND)
    without = Migration(NEWEST + 2, "without", "ALTER TABLE receipts DROP COLUMN detail", needs=NEWEST + 1)
    with monkeypatch.context() as newer:
        as_the_next_release(newer, later, without)
        assert await migrate(database) == 2

    with pytest.raises(
        SchemaTooNew, match=f"version {NEWEST + 2}, which needs .* knows version {NEWEST + 1}"
    ):
        await PostgresStore.open(database_url)


async def test_a_migration_gives_way_to_who_uses_the_tables(
    database_url: str,
    database: asyncpg.Connection,
    store: PostgresStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(schema, "LOCK_TIMEOUT", "10ms")
    as_the_next_release(monkeypatch, Migration(NEWEST + 1, "later", EXPAND))
    reader = await asyncpg.connect(database_url)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT FROM receipts")  # a dump, say
            migrating = asyncio.create_task(migrate(database))
            async with asyncio.timeout(20):
                while "gave way" not in caplog.text:
                    await asyncio.sleep(0.01)
            assert isinstance(await store.claim(an_action()), Claim)
            assert not migrating.done()
        assert await migrating == 1
    finally:
        await reader.close()


FIRST_UNDER_THE_RULE = 7
TAKES_AWAY = re.compile(
    r"\bDROP (COLUMN|TABLE|FUNCTION|TRIGGER)\b|\bRENAME\b|\bTYPE\b|\bSET NOT NULL\b"
    r"|ADD COLUMN \w+ \w+(\[\])? NOT NULL(?! DEFAULT)",
    re.IGNORECASE,
)


@pytest.mark.parametrize("migration", all_migrations()[FIRST_UNDER_THE_RULE - 1 :], ids=lambda one: one.name)
def test_a_migration_only_adds_or_says_what_it_needs(migration: Migration) -> None:
    assert migration.needs or not TAKES_AWAY.search(re.sub(r"--.*", "", migration.text))
    assert migration.needs < migration.version  # code that does without came first


def test_what_a_migration_needs_is_in_its_first_line() -> None:
    assert schema._NEEDS.match("-- needs: 0012\n-- Why.\nALTER ...") is not None
    assert TAKES_AWAY.search("ALTER TABLE receipts\n    ADD COLUMN a text NOT NULL,")
    assert not TAKES_AWAY.search("ALTER TABLE receipts ADD COLUMN a text NOT NULL DEFAULT ''")


async def test_each_schema_of_a_database_is_apart(
    database_url: str, database: asyncpg.Connection, open_store: OpenStore
) -> None:
    await database.execute("CREATE SCHEMA tenant")
    tenant = database_url + "&options=-csearch_path%3Dtenant,public"

    here, there = await open_store(), await open_store(tenant)

    assert isinstance(await here.claim(an_action()), Claim)
    assert isinstance(await there.claim(an_action()), Claim)
    assert here.credential_key != there.credential_key
    assert await database.fetchval("SELECT count(*) FROM tenant.receipts") == 1


async def test_a_search_path_that_leads_nowhere(empty_database_url: str) -> None:
    with pytest.raises(SchemaMissing, match="search_path"):
        await PostgresStore.open(empty_database_url + "&options=-csearch_path%3Dnowhere")


async def test_a_role_that_may_not_create_tables_can_use_them(
    database_url: str, database: asyncpg.Connection, open_store: OpenStore
) -> None:
    role = "plain_" + database_url.split("?")[0].rsplit("/", 1)[1]
    await database.execute(f"CREATE ROLE {role} LOGIN")
    await database.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}")

    store = await open_store(database_url.replace("postgres@", f"{role}@"))

    assert isinstance(await store.claim(an_action()), Claim)
    await store.close()
    await database.execute(f"DROP OWNED BY {role}")
    await database.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("request_id = 'short'", "receipts_digests_are_sha256"),
        ("fingerprint = 'short'", "receipts_digests_are_sha256"),
        ("kind = 'odd'", "receipts_words_are_known"),
        ("attempt = 0", "receipts_numbers_make_sense"),
        ("tombstone = '-1 s'", "receipts_numbers_make_sense"),
        ("source = 'hearsay'", "receipts_words_are_known"),
        ("likeness = 'short'", "receipts_digests_are_sha256"),
        ("forget_at = NULL", "receipts_state_has_its_members"),
        ("in_parts = true", "receipts_response_is_whole"),
        ("body = NULL, in_parts = true, body_kept = false", "receipts_response_is_whole"),
        ("ttl = '0'", "receipts_numbers_make_sense"),
        ("expires_at = NULL", "receipts_state_has_its_members"),
        ("header_names = '{a,b}'", "receipts_response_is_whole"),
        ("status = 42", "receipts_numbers_make_sense"),
        ("body = NULL", "receipts_response_is_whole"),
        ("body_kept = false", "receipts_response_is_whole"),
        ("body = 'other'", "receipts_response_is_whole"),
        ("body_digest = 'short'", "receipts_digests_are_sha256"),
        ("body_digest = NULL", "receipts_response_is_whole"),
        ("reason = NULL", "receipts_response_is_whole"),
    ],
)
async def test_a_completed_receipt_is_whole(
    store: PostgresStore, database: asyncpg.Connection, change: str, constraint: str
) -> None:
    claim = await store.claim(an_action())
    assert isinstance(claim, Claim)
    await store.settle(claim, completed())

    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await database.execute(f"UPDATE receipts SET {change}")

    assert caught.value.constraint_name == constraint


@pytest.mark.parametrize(
    ("settlement", "change", "constraint"),
    [
        (None, "phase = 'sent'", "receipts_state_has_its_members"),
        (None, "status = 500", "receipts_state_has_its_members"),
        (None, "forget_at = clock_timestamp()", "receipts_state_has_its_members"),
        (released(), "forget_at = NULL", "receipts_state_has_its_members"),
        (None, "expires_at = clock_timestamp()", "receipts_state_has_its_members"),
        (in_doubt(500), "expires_at = clock_timestamp()", "receipts_state_has_its_members"),
        (
            released(),
            "reason = '', header_names = '{}', header_values = '{}', body = '', body_size = 0, "
            "body_digest = fingerprint",
            "receipts_state_has_its_members",
        ),
        (in_doubt(500), "header_names = NULL", "receipts_response_is_whole"),
    ],
)
async def test_other_states_hold_only_what_they_can_know(
    store: PostgresStore, database: asyncpg.Connection, settlement: object, change: str, constraint: str
) -> None:
    claim = await store.claim(an_action())
    assert isinstance(claim, Claim)
    if settlement is not None:
        await store.settle(claim, settlement)  # type: ignore[arg-type]

    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await database.execute(f"UPDATE receipts SET {change}")

    assert caught.value.constraint_name == constraint


async def test_the_audit_trail_is_never_changed(store: PostgresStore, database: asyncpg.Connection) -> None:
    await store.claim(an_action())

    with pytest.raises(asyncpg.RestrictViolationError, match="never changed"):
        await database.execute("UPDATE events SET kind = 'released'")


async def test_nothing_hangs_on_a_sequence(database: asyncpg.Connection) -> None:
    kinds = await database.fetch(
        "SELECT relkind, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )

    assert {row["relname"] for row in kinds if row["relkind"] == b"r"} == {
        "receipts",
        "events",
        "parts",
        "instances",
        "doubts",
        "secrets",
        "outbox",
        "schema_versions",
    }
    assert not [row["relname"] for row in kinds if row["relkind"] == b"S"]
