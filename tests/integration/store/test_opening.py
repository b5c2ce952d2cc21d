"""Opening a store: what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from onceproxy.core.receipts import Claim
from onceproxy.store import durability
from onceproxy.store.connection import describe
from onceproxy.store.errors import DatabaseUnreachable, DataDirUnusable, ServerTooOld, UnsafeDurability
from onceproxy.store.postgres import PostgresStore
from stores import OpenStore, an_action

SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/receipts",
        f"postgresql://me:{SECRET}@/receipts?host=/nowhere",
        f"postgresql://me:{SECRET}@127.0.0.1:{SECRET}/receipts",
        f"postgresql://me:{SECRET}@127.0.0.1:99999/receipts",
        f"mysql://me:{SECRET}@127.0.0.1/receipts",
        f"postgresql://me:{SECRET}@127.0.0.1/receipts?sslmode={SECRET}",
    ],
)
async def test_an_unreachable_database_is_named_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseUnreachable) as caught:
        await PostgresStore.open(url, connect_timeout=0.2)

    chain: BaseException | None = caught.value
    while chain is not None:
        assert SECRET not in str(chain)
        chain = chain.__cause__


async def test_a_database_that_does_not_exist_is_not_waited_for(database_url: str) -> None:
    with pytest.raises(DatabaseUnreachable, match=r"refuses us.*does not exist"):
        await PostgresStore.open(database_url.replace("/test_", "/no_test_"), connect_timeout=60)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"postgresql://me:{SECRET}@db.example:5433/receipts", "database receipts at db.example:5433"),
        ("postgresql:///receipts?host=/run", "database receipts at a local socket"),
        (f"postgresql://me:{SECRET}@db.example:{SECRET}/receipts", "the database"),
    ],
)
def test_words_for_a_database(url: str, words: str) -> None:
    assert describe(url) == words


@pytest.mark.parametrize("level", ["database", "role"])
async def test_asynchronous_commits_are_refused(
    database_url: str, database: asyncpg.Connection, open_store: OpenStore, level: str
) -> None:
    name = database_url.split("?")[0].rsplit("/", 1)[1]
    if level == "database":
        await database.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    else:
        await database.execute(f"ALTER ROLE postgres IN DATABASE {name} SET synchronous_commit = off")

    with pytest.raises(UnsafeDurability, match="synchronous_commit = off"):
        await PostgresStore.open(database_url)

    store = await open_store(allow_unsafe_durability=True)
    assert isinstance(await store.claim(an_action()), Claim)


async def test_commits_that_wait_for_our_own_disk_are_enough(
    database_url: str, open_store: OpenStore
) -> None:
    await open_store(database_url + "&options=-csynchronous_commit%3Dlocal")


async def test_fsync_off_is_refused(database_url: str, database: asyncpg.Connection) -> None:
    # fsync is the whole server's, which other tests use: only as long as it takes to open.
    await database.execute("ALTER SYSTEM SET fsync = off")
    await database.execute("ALTER SYSTEM SET full_page_writes = off")
    try:
        await reload(database)
        with pytest.raises(UnsafeDurability, match="fsync = off, full_page_writes = off"):
            await PostgresStore.open(database_url)
    finally:
        await database.execute("ALTER SYSTEM RESET fsync")
        await database.execute("ALTER SYSTEM RESET full_page_writes")
        await reload(database)


async def reload(database: asyncpg.Connection) -> None:
    loaded = await database.fetchval("SELECT pg_conf_load_time()")
    await database.execute("SELECT pg_reload_conf()")
    while await database.fetchval("SELECT pg_conf_load_time()") == loaded:
        pass


async def test_an_old_server_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durability, "OLDEST_SERVER", 99)

    with pytest.raises(ServerTooOld, match="needs Postgres 99"):
        await PostgresStore.open(database_url)


async def test_a_data_directory_that_is_none(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DataDirUnusable, match="can't be written"):
        await PostgresStore.open(database_url, data_dir=tmp_path / "file")


async def test_a_failed_or_closed_store_leaves_no_connections(
    open_store: OpenStore, database: asyncpg.Connection
) -> None:
    store = await open_store()
    await store.close()

    async def left() -> int:
        return int(
            await database.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'onceproxy' "
                "AND datname = current_database()"
            )
        )

    while await left():
        pass
