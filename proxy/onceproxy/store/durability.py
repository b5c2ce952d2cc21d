"""Whether a server's word can be believed: a claim that was acknowledged must survive a crash."""

from __future__ import annotations

import asyncpg

from onceproxy.store.errors import ServerTooOld, UnsafeDurability
from onceproxy.store.statements import sql

OLDEST_SERVER = 14
_NEEDED = ("fsync", "full_page_writes", "synchronous_commit")


async def check_server(connection: asyncpg.Connection, *, allow_unsafe_durability: bool) -> None:
    """Look at the settings that this connection's commits are made with.

    ``synchronous_commit`` may be ``local`` or higher: whether a standby must confirm as well is the
    operator's choice. It is ``off`` that acknowledges commits which a crash forgets.

    Raises:
        ServerTooOld: older than Postgres 14.
        UnsafeDurability: a commit could be forgotten, and that was not allowed.
    """
    row = await connection.fetchrow(sql("read_server"))
    assert row is not None
    judge_server(row, allow_unsafe_durability=allow_unsafe_durability)


def judge_server(row: asyncpg.Record, *, allow_unsafe_durability: bool) -> None:
    """Judge what the statement ``read_server`` has found; see ``check_server``."""
    major = row["version"] // 10_000
    if major < OLDEST_SERVER:
        raise ServerTooOld(
            f"the server is Postgres {major}; onceproxy needs Postgres {OLDEST_SERVER} or newer"
        )
    off = [name for name in _NEEDED if row[name] == "off"]
    if off and not allow_unsafe_durability:
        raise UnsafeDurability(
            f"the database runs with {', '.join(f'{name} = off' for name in off)}: after a crash it may have "
            "forgotten claims that it acknowledged, and actions would happen twice. Turn it on (for the "
            "server, the database and the role), or allow unsafe durability where twice does no harm"
        )
