"""Before a store is opened: is the server one to rely on, and are its tables those of this version?"""

from __future__ import annotations

from onceproxy.sealing.keyring import Keyring
from onceproxy.store.connection import connect_patiently
from onceproxy.store.durability import check_server
from onceproxy.store.errors import DATABASE_ERRORS, DatabaseUnreachable, is_outage
from onceproxy.store.schema import migrate
from onceproxy.store.shared_key import read_shared_key


async def prepare(
    url: str, connect_timeout: float, keyring: Keyring, *, allow_unsafe_durability: bool
) -> bytes:
    """Check the server of ``url`` and migrate its schema; return the key of the digests of credentials.

    ``connect_timeout``: seconds to keep trying for the connection. Raises what ``PostgresStore.open`` does.
    """
    connection = await connect_patiently(url, connect_timeout)
    try:
        await check_server(connection, allow_unsafe_durability=allow_unsafe_durability)
        await migrate(connection)
        return await read_shared_key(connection, keyring)
    except DATABASE_ERRORS as error:
        raise gone(error) from error
    finally:
        connection.terminate()


def gone(error: Exception) -> Exception:
    """Put an outage after the first connection into words; other errors stay as they are."""
    if not is_outage(error):
        return error
    return DatabaseUnreachable(f"the database went away while the store was opened: {error}")
