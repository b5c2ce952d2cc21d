"""The roles that config/postgres makes: a proxy can work, and can't rewrite what it has written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from onceproxy.core.receipts import Claim
from onceproxy.core.states import State
from onceproxy.sealing.keyring import Key, Keyring
from onceproxy.store.collecting import forget_events
from onceproxy.store.errors import DatabaseUnreachable, SecretUnreadable, StoreError
from onceproxy.store.migrating import migrate_database
from onceproxy.store.operator import operating, purge
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.rekeying import rekey
from onceproxy.store.shared_key import rekey_shared_key
from onceproxy.store.statements import Statement, all_statements
from stores import a_response, an_action, completed

SCRIPTS = Path(__file__).parents[2] / "config" / "postgres"
ROLES = ("onceproxy", "onceproxy_owner", "onceproxy_auditor")
# What only the owner runs, when it migrates and encrypts the shared key, and the embedded server's own
# set-up.
BY_THE_OWNER = {
    "create_versions",
    "add_version",
    "require_version",
    "create_database",
    "forget_events",
    "lock_key",
    "write_key",
}
SERVING = [one for one in all_statements().values() if one.name not in BY_THE_OWNER]


@dataclass(frozen=True)
class Roles:
    """One database as each role reaches it."""

    superuser: str
    owner: str
    proxy: str


@pytest.fixture
async def roles(empty_database_url: str) -> AsyncIterator[Roles]:
    """A database set up as the scripts say."""

    def of(user: str) -> str:
        parts = urlsplit(empty_database_url)
        return parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}").geturl()

    try:
        await _run(empty_database_url, (SCRIPTS / "roles.sql").read_text())
        await migrate_database(of("onceproxy_owner"))
        await _run(of("onceproxy_owner"), (SCRIPTS / "grants.sql").read_text())
        yield Roles(empty_database_url, of("onceproxy_owner"), of("onceproxy"))
    finally:
        # Roles belong to the whole server, which other tests use after this one.
        for role in ROLES:
            await _run(empty_database_url, f"DROP OWNED BY {role} CASCADE")
            await _run(empty_database_url, f"DROP ROLE {role}")


async def _run(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


async def test_a_proxy_does_its_work(roles: Roles) -> None:
    async with await PostgresStore.open(roles.proxy, pool_size=2) as store:
        claim = await store.claim(an_action())
        assert isinstance(claim, Claim)
        await store.settle(claim, completed())
        receipt = await store.read(claim.request_id)
    async with operating(roles.proxy) as connections:
        await purge(connections, claim.request_id, "as a test")

    assert receipt is not None
    assert receipt.state is State.COMPLETED


async def test_a_proxy_may_run_each_statement(roles: Roles) -> None:
    connection = await asyncpg.connect(roles.proxy)
    refused = []
    for statement in SERVING:
        try:
            await connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement.text}")
        except asyncpg.InsufficientPrivilegeError as error:
            refused.append(f"{statement.name}: {error}")
        except asyncpg.PostgresSyntaxError:
            assert not _is_a_query(statement)  # EXPLAIN has no plan of what is no query
    await connection.close()

    assert refused == []


def _is_a_query(statement: Statement) -> bool:
    return statement.text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"))


@pytest.mark.parametrize(
    "forbidden",
    [
        "UPDATE events SET detail = 'nothing to see'",
        "DELETE FROM events",
        "TRUNCATE events",
        "TRUNCATE receipts",
        "DROP TABLE events",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "ALTER TABLE receipts DROP CONSTRAINT receipts_transition_is_legal",
        "CREATE TABLE onceproxy.others (name text)",
        "UPDATE secrets SET key = sha256('known')",
        "UPDATE schema_versions SET version = 0",
        "SET session_replication_role = 'replica'",
        "SET ROLE onceproxy_owner",
    ],
)
async def test_a_proxy_can_rewrite_no_history(roles: Roles, forbidden: str) -> None:
    connection = await asyncpg.connect(roles.proxy)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(forbidden)
    await connection.close()


@pytest.mark.parametrize(
    "forbidden",
    [
        "SELECT body FROM receipts",
        "SELECT header_values FROM receipts",
        "TABLE secrets",
        "DELETE FROM receipts",
    ],
)
async def test_an_auditor_reads_the_history_and_no_response(roles: Roles, forbidden: str) -> None:
    connection = await asyncpg.connect(roles.superuser)
    await connection.execute("SET ROLE onceproxy_auditor; SET search_path = onceproxy")
    await connection.fetch("SELECT * FROM events")
    await connection.fetch("SELECT request_id, state, url FROM receipts")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(forbidden)
    await connection.close()


async def test_a_proxy_that_would_have_to_migrate_says_so(roles: Roles) -> None:
    await _run(
        roles.owner, "DELETE FROM schema_versions WHERE version = (SELECT max(version) FROM schema_versions)"
    )

    with pytest.raises(StoreError, match="onceproxy migrate"):
        await PostgresStore.open(roles.proxy, pool_size=2)


async def test_the_grants_may_be_repeated(roles: Roles) -> None:
    await _run(roles.owner, (SCRIPTS / "grants.sql").read_text())
    async with await PostgresStore.open(roles.proxy, pool_size=2) as store:
        assert isinstance(await store.claim(an_action()), Claim)


async def test_the_owner_rekeys_and_proxies_go_on(roles: Roles) -> None:
    keyring = Keyring([Key("k1", b"1" * 32)])
    async with await PostgresStore.open(roles.proxy, pool_size=2) as store:
        claim = await store.claim(an_action())
        assert isinstance(claim, Claim)
        await store.settle(claim, completed())
    async with operating(roles.proxy) as connections:
        with pytest.raises(SecretUnreadable, match="as the owner"):
            await rekey_shared_key(connections, keyring)

    async with operating(roles.owner) as connections:
        assert await rekey_shared_key(connections, keyring)
        assert (await rekey(connections, keyring, rest=0)).rewritten == 1

    async with await PostgresStore.open(roles.proxy, pool_size=2, keyring=keyring) as store:
        receipt = await store.read(claim.request_id)
    assert receipt is not None
    assert receipt.response == a_response()


async def test_only_the_owner_removes_history(roles: Roles) -> None:
    with pytest.raises(DatabaseUnreachable, match="the audit trail is its owner's"):
        await forget_events(roles.proxy, 0.0, lambda _: None)
    assert await forget_events(roles.owner, 0.0, lambda _: None) == 0
