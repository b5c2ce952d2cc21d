"""What can go wrong with the database, told apart by who can do something about it.

``StoreUnavailable`` (a guard's word) is for the requests that meet an outage. The classes here are for
whoever starts a process: each message says what is wrong and what to do, and never holds a password.
"""

from __future__ import annotations

import asyncpg
from asyncpg import exceptions


class StoreError(Exception):
    """The store can't be opened. The message is for the person who starts the process."""


class DatabaseUnreachable(StoreError):
    """No connection could be made in the time allowed, or the database refuses us for good."""


class ServerTooOld(StoreError):
    """The server is older than what the statements need."""


class UnsafeDurability(StoreError):
    """The server may forget what it said it had committed, and so could not keep a claim."""


class SchemaTooNew(StoreError):
    """A newer version of onceproxy took away from this database what this one needs."""


class SchemaMissing(StoreError):
    """The database holds no receipts yet, or the connection's search_path leads nowhere."""


class RoleTooWeak(StoreError):
    """The role that logs in may not do what has to be done."""


class SecretUnreadable(StoreError):
    """The key that the proxies of a database share is encrypted, and can't be decrypted or changed."""


class DataDirUnusable(StoreError):
    """The data directory can't be written to."""


class EmbeddedFailed(StoreError):
    """The embedded server can't be set up, started or reached."""


class NotReplicated(asyncpg.InterfaceError):
    """A commit is on the primary's disk and perhaps on no standby's: a failover may forget it."""


DATABASE_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""Everything that asyncpg may raise. Catch these, and re-raise what ``is_outage`` does not know."""

_OUTAGES: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    exceptions.PostgresConnectionError,
    exceptions.InvalidAuthorizationSpecificationError,
    exceptions.InvalidCatalogNameError,
    exceptions.InsufficientResourcesError,
    exceptions.OperatorInterventionError,
    exceptions.PostgresSystemError,
    exceptions.ReadOnlySQLTransactionError,
    exceptions.IdleInTransactionSessionTimeoutError,
    exceptions.TransactionTimeoutError,
    exceptions.TransactionRollbackError,  # deadlock and serialization among them
    exceptions.LockNotAvailableError,
    # asyncpg's own confusion: seen when a backend was ended between two statements of a connection.
    exceptions.InternalClientError,
)
# Subclasses of InterfaceError that tell of a mistake in the code or in the URL.
_MISTAKES = (exceptions.DataError, exceptions.ClientConfigurationError)

# Waiting does not help against these: the person has to do something.
_REFUSALS: tuple[type[Exception], ...] = (
    exceptions.InvalidAuthorizationSpecificationError,
    exceptions.InvalidCatalogNameError,
    exceptions.ClientConfigurationError,
    exceptions.InsufficientPrivilegeError,
)


def is_outage(error: Exception) -> bool:
    """Say whether the database failed us, as opposed to us having asked for nonsense."""
    return isinstance(error, _OUTAGES) and not isinstance(error, _MISTAKES)


def is_refusal(error: Exception) -> bool:
    """Say whether a failure to connect will last until a person changes something."""
    return isinstance(error, _REFUSALS)
