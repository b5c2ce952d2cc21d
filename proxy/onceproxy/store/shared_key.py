"""The key that the proxies of a database share: it makes the digests by which credentials are compared.

It lies in the database itself, so that all have the same one; encrypted, once `rekey` has done that. Who
reads the database alone can then try no passwords against the digests.
"""

from __future__ import annotations

import asyncpg

from onceproxy.core.canonical import pack
from onceproxy.guard.ports import Unreadable
from onceproxy.sealing.keyring import KEY_SIZE, Keyring, prefix
from onceproxy.store.connection import Connections
from onceproxy.store.errors import SecretUnreadable
from onceproxy.store.statements import sql

NAME = "credentials"
TRY = 30.0  # seconds for one statement

_BOUND = pack((b"onceproxy secret", NAME.encode("ascii")))


async def read_shared_key(connection: asyncpg.Connection, keyring: Keyring) -> bytes:
    """Return the shared key. Raises what asyncpg raises.

    Raises:
        SecretUnreadable: it is encrypted, and can't be decrypted.
    """
    return _opened(bytes(await connection.fetchval(sql("read_key"), NAME)), keyring)


def open_shared_key(row: asyncpg.Record | None, keyring: Keyring) -> bytes | None:
    """Return the shared key of what the statement ``read_key`` has found. Raises ``SecretUnreadable``."""
    return _opened(bytes(row["key"]), keyring) if row is not None else None


async def rekey_shared_key(connections: Connections, keyring: Keyring) -> bool:
    """Encrypt the shared key with the first key; return whether that was to be done.

    Raises:
        SecretUnreadable: it can't be decrypted, or the database's user may not change it.
    """
    assert keyring.writes is not None
    async with connections.transaction(TRY) as run:
        # A plain look first: most roles may not do more, and most times nothing is to be done.
        row = await run("read_key", NAME)
        assert row is not None
        if row["key"].startswith(prefix(keyring.writes)) and len(row["key"]) != KEY_SIZE:
            return False
        try:
            row = await run("lock_key", NAME)
            assert row is not None
            await run("write_key", NAME, keyring.seal(_opened(row["key"], keyring), _BOUND))
        except asyncpg.InsufficientPrivilegeError:
            raise SecretUnreadable(
                "the key of the digests (table secrets) is not encrypted yet, and this user of the database "
                "may not change it: run `onceproxy rekey` as the owner of the tables"
            ) from None
    return True


def _opened(stored: bytes, keyring: Keyring) -> bytes:
    if len(stored) == KEY_SIZE:
        return stored
    try:
        return keyring.open(stored, _BOUND)
    except Unreadable as error:
        raise SecretUnreadable(
            f"the key of the digests (table secrets) can't be read: {error}. Without it no receipt could be "
            "told from one of another account"
        ) from error
