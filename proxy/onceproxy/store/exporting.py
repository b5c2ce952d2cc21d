"""All receipts, or all of the audit trail, for audits: in one snapshot, and never all of it in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from onceproxy.core.receipts import RequestId
from onceproxy.core.states import State
from onceproxy.sealing.bodies import plain_size
from onceproxy.store.catalogue import Catalogue
from onceproxy.store.connection import connect, describe
from onceproxy.store.errors import DatabaseUnreachable, is_outage
from onceproxy.store.statements import sql

PREFETCH = 500  # rows that are fetched at once


class Exported(StrEnum):
    """What can be exported."""

    RECEIPTS = "receipts"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Extent:
    """What of it; None: all. Only times hold for events, which know neither route nor host.

    ``since`` (inclusive) and ``until`` (exclusive) are aware, of the first claim or of the event.
    """

    since: datetime | None = None
    until: datetime | None = None
    state: State | None = None
    route: str | None = None
    host: str | None = None


Document = dict[str, str | int | bool | list[str] | None]


@asynccontextmanager
async def exporting(
    url: str, what: Exported, extent: Extent, *, connect_timeout: float = 10.0
) -> AsyncIterator[AsyncIterator[Document]]:
    """Yield the documents of what there is, oldest first, as it is at one moment.

    Raises:
        DatabaseUnreachable: no connection within ``connect_timeout`` seconds.
        SchemaMissing, SchemaTooNew: it is no database of this version.
    """
    async with await Catalogue.open(url, connect_timeout=connect_timeout):
        pass  # it is a database of ours
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield _documents(connection, what, extent)
    except asyncpg.PostgresError as error:
        if not is_outage(error):
            raise
        raise DatabaseUnreachable(f"{describe(url)} went away: {error}") from error
    finally:
        connection.terminate()


async def _documents(
    connection: asyncpg.Connection, what: Exported, extent: Extent
) -> AsyncIterator[Document]:
    values: tuple[object, ...] = (extent.since, extent.until)
    if what is Exported.RECEIPTS:
        state = extent.state.value if extent.state is not None else None
        host = extent.host.lower() if extent.host is not None else None
        values = (*values, state, extent.route, host)
    statement = f"export_{what}"
    async for row in connection.cursor(sql(statement), *values, prefetch=PREFETCH):
        yield _document(row)


def _document(row: asyncpg.Record) -> Document:
    fields: dict[str, Any] = dict(row)
    if fields.pop("sealed", False):
        fields["body_size"] = plain_size(fields["body_size"])
    return {name: _simple(name, value) for name, value in fields.items()}


def _simple(name: str, value: Any) -> Any:
    if name == "request_id":
        return str(RequestId(value))
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
