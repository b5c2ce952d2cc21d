"""The schema's versions: which migrations there are, and how they are applied.

A migration is a file ``migrations/NNNN_name.sql``; it is never changed once released. Several processes may
start at once: the first one migrates under an advisory lock, the others find the work done.

Two versions of the code share a database while proxies are upgraded one by one, so a migration only adds what
the version before can live with (expand). What takes something away (contract) comes a release after the code
that did without it, and says so in its first line, ``-- needs: NNNN``: the newest migration that code must
know to be let in. docs/operating.md has the rule for whoever upgrades.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import asyncpg

from onceproxy.store.connection import describe
from onceproxy.store.errors import RoleTooWeak, SchemaMissing, SchemaTooNew
from onceproxy.store.retrying import pauses
from onceproxy.store.statements import sql

log = logging.getLogger(__name__)

MIGRATION_TIMEOUT = 600.0  # seconds, for waiting on the lock and for the work: a large table takes its time
# Behind a migration that waits for a table, all others wait for it as well, claims too. It gives way before
# they do (`limit_lock_waits`), and tries again.
LOCK_TIMEOUT = "500ms"


_NEEDS = re.compile(r"-- needs: ([0-9]{4})\n")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: its version, counted from 1, its name and its SQL.

    ``needs``: the version that code must know to work with what it leaves; 0: any code does.
    """

    version: int
    name: str
    text: str
    needs: int = 0


@cache
def all_migrations() -> tuple[Migration, ...]:
    """Return the migrations in order.

    Raises:
        ValueError: the numbers have a gap.
    """
    found = []
    for entry in files(__package__).joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            number, _, name = entry.name.removesuffix(".sql").partition("_")
            text = entry.read_text("utf-8")
            needs = _NEEDS.match(text)
            found.append(Migration(int(number), name, text, int(needs[1]) if needs is not None else 0))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError("migrations are numbered from 0001 without gaps")
    return tuple(found)


async def read_version(connection: asyncpg.Connection) -> int:
    """Return the version of the current schema, 0 where there are no tables of ours.

    It may be one that this code does not know, if that version says that it leaves this code what it needs.

    Raises:
        SchemaMissing: the search_path names no schema that exists.
        SchemaTooNew: a newer version took away what this code needs.
    """
    found = await connection.fetchrow(sql("find_versions"))
    assert found is not None
    if found["schema"] is None:
        raise SchemaMissing(
            "the connection's search_path names no schema that exists: create the schema, or change the path"
        )
    if not found["present"]:
        return 0
    row = await connection.fetchrow(sql("read_version"))
    assert row is not None
    newest = len(all_migrations())
    if row["needs"] > newest:
        raise SchemaTooNew(
            f"the database's schema has version {row['version']}, which needs a onceproxy that knows version "
            f"{row['needs']}, and this one knows versions up to {newest}: run the version of onceproxy that "
            "migrated it, or a newer one"
        )
    return int(row["version"])


async def migrate(connection: asyncpg.Connection) -> int:
    """Bring the connection's current schema up to date; return how many migrations were applied.

    Raises:
        SchemaMissing: the search_path names no schema that exists.
        SchemaTooNew: a newer version took away what this code needs.
        RoleTooWeak: there is something to migrate, and the role may not.
    """
    # A look without the lock: a role that may not create tables can use a schema that is up to date.
    if await read_version(connection) >= len(all_migrations()):
        return 0
    try:
        return await _apply_patiently(connection)
    except asyncpg.InsufficientPrivilegeError as error:
        raise RoleTooWeak(
            f"the database's schema is not up to date, and this role may not change it ({error}): run "
            "`onceproxy migrate` as the role that owns the tables, and grant to this one what it needs"
        ) from None


async def _apply_patiently(connection: asyncpg.Connection) -> int:
    clock = asyncio.get_running_loop().time
    give_up = clock() + MIGRATION_TIMEOUT
    pause = pauses(longest=5.0)
    while True:
        try:
            return await _apply(connection)
        except asyncpg.LockNotAvailableError:
            if clock() > give_up:
                raise
            log.warning("others use the tables, and the migration gave way; it is tried again")
        await asyncio.sleep(pause())


async def _apply(connection: asyncpg.Connection) -> int:
    # Read committed, whatever the database's default: what is read after the lock must not be older than it.
    async with connection.transaction(isolation="read_committed"):
        await connection.execute(sql("lock_migrations"), timeout=MIGRATION_TIMEOUT)
        # After the lock: even with IF NOT EXISTS, two that create a table at once collide in the catalogue.
        await connection.execute(sql("create_versions"))
        await connection.execute(sql("limit_lock_wait"), LOCK_TIMEOUT)
        done = await read_version(connection)
        for migration in all_migrations()[done:]:
            await connection.execute(migration.text, timeout=MIGRATION_TIMEOUT)
            await connection.execute(sql("add_version"), migration.version, migration.name)
            if migration.needs:
                await connection.execute(sql("require_version"), migration.version, migration.needs)
    return max(0, len(all_migrations()) - done)


def never_used(url: str) -> SchemaMissing:
    """Return what is wrong with a database that no proxy of this version has used: often a wrong one."""
    return SchemaMissing(
        f"{describe(url)} holds no receipts of this version yet: name the database of the proxy "
        "(--config, --data-dir or --database, as it was started with), or run `onceproxy migrate`"
    )
