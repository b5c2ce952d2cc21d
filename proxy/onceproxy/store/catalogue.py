"""Receipts for people: lists and single ones with their history. Reads only, and needs no running store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any
from uuid import UUID

import asyncpg

from onceproxy.core.messages import Body, BodyApart
from onceproxy.core.receipts import IdentityKind, Receipt, RequestId
from onceproxy.core.states import State
from onceproxy.guard.ports import Unreadable
from onceproxy.sealing.answers import opened_part, opened_receipt
from onceproxy.sealing.bodies import plain_size
from onceproxy.sealing.keyring import Keyring
from onceproxy.store.connection import connect_patiently
from onceproxy.store.parts import joined
from onceproxy.store.rows import receipt_of
from onceproxy.store.schema import all_migrations, never_used, read_version
from onceproxy.store.statements import sql

LIMIT = 50  # receipts in a list, unless asked otherwise
RECENT = 20_000  # receipts that are looked through for those of one URL


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A line of a list: what a receipt is about, without its response.

    ``state`` is what the next copy of the action would find: a claim whose owner is gone is ``in_doubt``, an
    expired receipt ``absent``. Times are aware. ``conclusion`` is the outcome's reason.
    """

    request_id: RequestId
    state: State
    attempt: int
    kind: IdentityKind
    scope: tuple[str, ...]
    route: str
    method: str
    url: str
    created_at: datetime
    changed_at: datetime
    expires_at: datetime | None
    status: int | None
    failure: str | None
    conclusion: str | None
    body_size: int | None


@dataclass(frozen=True, slots=True)
class LiveRow:
    """What identifies a receipt that still answers, or stands in the way of, a copy."""

    request_id: RequestId
    state: State
    attempt: int
    kind: IdentityKind
    canonical: int
    scope: tuple[str, ...]
    fingerprint: bytes
    route: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EventRow:
    """One entry of the audit trail. ``state`` is the receipt's state afterwards."""

    event_id: UUID
    at: datetime
    kind: str
    attempt: int
    instance: UUID | None
    state: State
    phase: str | None
    reason: str | None
    detail: str


class Catalogue:
    """A read-only look at the receipts of a database, over one connection."""

    def __init__(
        self, connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy, keyring: Keyring
    ) -> None:
        self._connection = connection
        self._keyring = keyring

    @classmethod
    async def open(
        cls, url: str, *, connect_timeout: float = 10.0, keyring: Keyring | None = None
    ) -> Catalogue:
        """Connect to a database that holds receipts, within ``connect_timeout`` seconds.

        ``keyring``: the keys of what receipts keep of answers.

        Raises:
            DatabaseUnreachable: no connection.
            SchemaMissing: nobody has used the database yet, or not since this version was installed.
            SchemaTooNew: a newer version migrated it.
        """
        connection = await connect_patiently(url, connect_timeout)
        try:
            if await read_version(connection) < len(all_migrations()):
                raise never_used(url)
        except BaseException:
            connection.terminate()
            raise
        return cls(connection, keyring or Keyring())

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close(timeout=3)

    async def __aenter__(self) -> Catalogue:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def list_receipts(
        self,
        *,
        state: State | None = None,
        route: str | None = None,
        host: str | None = None,
        since: float | None = None,
        limit: int = LIMIT,
    ) -> list[ReceiptRow]:
        """Return the newest receipts first.

        Args:
            state: only those that are seen in this state.
            route: only those of the route of that name.
            host: only those sent to this host, with or without its port.
            since: only those first claimed in the last so many seconds.
            limit: at most so many.
        """
        rows = await self._connection.fetch(
            sql("list_receipts"),
            state.value if state is not None else None,
            route,
            host.lower() if host is not None else None,
            timedelta(seconds=since) if since is not None else None,
            limit,
        )
        return [receipt_row(row) for row in rows]

    async def live(self, request_ids: list[RequestId]) -> list[LiveRow]:
        """Return those of the receipts that there are, without their responses."""
        rows = await self._connection.fetch(sql("find_receipts"), [one.digest for one in request_ids])
        return [_live_row(row) for row in rows]

    async def recent(self, method: str, url: str, limit: int) -> list[LiveRow]:
        """Return the newest receipts of a method and a URL (without a query), at most ``limit``.

        Only the newest ``RECENT`` of all receipts are looked through.
        """
        rows = await self._connection.fetch(sql("recent_receipts"), method, url, RECENT, limit)
        return [_live_row(row) for row in rows]

    async def show(self, request_id: RequestId) -> tuple[Receipt, tuple[EventRow, ...]] | None:
        """Return a receipt, expired or not, and its history, oldest first; None if there is none.

        A claim whose owner is gone is shown as ``claimed``, with no lease left.
        """
        row = await self._connection.fetchrow(sql("read"), request_id.digest)
        if row is None:
            return None
        events = await self._connection.fetch(sql("list_events"), request_id.digest)
        return opened_receipt(self._keyring, receipt_of(row)), tuple(_event_row(event) for event in events)

    async def body(self, receipt: Receipt) -> Body | None:
        """Return the body of a receipt that was just shown; None: there is none, or not all of it.

        Raises:
            Unreadable: it is encrypted, and can't be decrypted.
        """
        if receipt.unreadable is not None:
            raise Unreadable(receipt.unreadable)
        if receipt.response is None or not receipt.body_kept:
            return None
        if not isinstance(receipt.response.body, BodyApart):
            return receipt.response.body

        async def fetch(number: int) -> bytes | None:
            row = await self._connection.fetchrow(
                sql("read_part"), receipt.request_id.digest, receipt.attempt, number
            )
            return opened_part(self._keyring, receipt, number, row["data"]) if row is not None else None

        return await joined(fetch, receipt)


def _live_row(row: asyncpg.Record) -> LiveRow:
    return LiveRow(**_fields(row))


def receipt_row(row: asyncpg.Record) -> ReceiptRow:
    """Return a line of a list from its row; columns besides are left out."""
    fields = _fields(row)
    if fields.pop("sealed"):
        fields["body_size"] = plain_size(fields["body_size"])
    return ReceiptRow(**{name: fields[name] for name in ReceiptRow.__slots__})


def _fields(row: asyncpg.Record) -> dict[str, Any]:
    fields: dict[str, Any] = dict(row)
    fields["request_id"] = RequestId(fields["request_id"])
    fields["state"] = State(fields["state"])
    fields["kind"] = IdentityKind(fields["kind"])
    fields["scope"] = tuple(fields["scope"])
    return fields


def _event_row(row: asyncpg.Record) -> EventRow:
    fields: dict[str, Any] = dict(row)
    fields["state"] = State(fields["state"])
    return EventRow(**fields)
