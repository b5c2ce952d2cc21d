"""Receipts for whoever operates a running proxy: lists, single ones, and what a person may do to them.

Connections of its own are made when somebody asks, so that nobody who looks takes one from who sends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from onceproxy.core.messages import Body
from onceproxy.core.receipts import Receipt, RequestId
from onceproxy.core.states import State
from onceproxy.guard.ports import Resolution, StoreUnavailable
from onceproxy.sealing.keyring import Keyring
from onceproxy.store.catalogue import LIMIT, Catalogue, EventRow, ReceiptRow, receipt_row
from onceproxy.store.connection import Connections
from onceproxy.store.doubts import count_doubts
from onceproxy.store.errors import DATABASE_ERRORS, is_outage
from onceproxy.store.operator import purge, resolve_by_hand

SIZE = 3  # connections, one of them for changes
TRY = 5.0  # seconds for one statement
LOOKED_AT_ONCE = 10_000  # receipts that one statement looks through
LONGEST_LOOK = 1.0  # seconds after which a list ends early, with a place to go on from
COUNTED = 100_000  # newest receipts that are counted at most
LATELY = timedelta(hours=24)  # for which an instance that ended is still listed


@dataclass(frozen=True, slots=True)
class Filters:
    """Which receipts are wanted; None: any.

    ``host`` is with or without its port, ``scope`` one of the values of a scope, ``text`` a part of the URL,
    in any case. ``since`` (inclusive) and ``until`` (exclusive) are aware, and about the first claim.
    """

    state: State | None = None
    route: str | None = None
    host: str | None = None
    scope: str | None = None
    method: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list of all receipts, newest first: right behind the one with these values."""

    created_at: datetime
    request_id: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. ``next``: where it goes on; None: there are no more.

    A page may be short, or empty, and yet go on: ``looked_at`` receipts were looked through so far.
    """

    receipts: tuple[ReceiptRow, ...]
    next: Place | None
    looked_at: int


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """A proxy process. ``lease_until`` moves on with each heartbeat while it is ``alive``."""

    instance_id: UUID
    host: str
    pid: int
    version: str
    started_at: datetime
    lease_until: datetime
    ended_at: datetime | None
    alive: bool


@dataclass(frozen=True, slots=True)
class RouteCount:
    """How many of the newest receipts a route has in a state."""

    route: str
    state: State
    receipts: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class SliceCount:
    """How many receipts in a state were first claimed in the slice of time that begins at ``slice``."""

    slice: datetime
    state: State
    receipts: int


@dataclass(frozen=True, slots=True)
class Doubted:
    """A receipt in doubt, and whose action it is."""

    receipt: Receipt
    scope: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Doubts:
    """What nobody knows, oldest first; how many there are, and how many seconds old the oldest is."""

    found: tuple[Doubted, ...]
    count: int
    oldest: float


class Records:
    """What an operator sees and does. Each verb may raise ``StoreUnavailable``: the database does not answer.

    Args:
        database: yields the URL for as long as it is used; asked when it is first needed.
        keyring: the keys of stored answers.
    """

    def __init__(
        self, database: Callable[[], AbstractAsyncContextManager[str]], keyring: Keyring | None = None
    ) -> None:
        self._database = database
        self._keyring = keyring or Keyring()
        self._connections: Connections | None = None
        self._opening = asyncio.Lock()
        self._parts = AsyncExitStack()

    async def close(self) -> None:
        """Close the connections, if there are any. May be called twice, and used again."""
        self._connections = None
        await self._parts.aclose()

    async def page(self, filters: Filters, after: Place | None = None, limit: int = LIMIT) -> Page:
        """Return the newest receipts that fit, from a place on.

        Args:
            filters: which.
            after: a place that a former page named; None: from the newest on.
            limit: at most so many, from 1.
        """
        found: list[ReceiptRow] = []
        looked_at = 0
        until = time.monotonic() + LONGEST_LOOK
        while True:
            wanted = limit - len(found)
            async with self._using() as connections:
                rows = await connections.rows(
                    "page_of_receipts",
                    after.created_at if after is not None else None,
                    after.request_id if after is not None else None,
                    *(filters.since, filters.until),
                    filters.state.value if filters.state is not None else None,
                    filters.route,
                    filters.host.lower() if filters.host is not None else None,
                    *(filters.scope, filters.method, filters.text),
                    *(LOOKED_AT_ONCE, wanted),
                    timeout=TRY,
                )
            first = rows[0]
            found.extend(receipt_row(row) for row in rows if row["request_id"] is not None)
            looked_at += first["looked_at"]
            if len(found) >= limit:
                last = rows[-1]
                return Page(tuple(found), Place(last["created_at"], last["request_id"]), looked_at)
            if first["looked_at"] < LOOKED_AT_ONCE:
                return Page(tuple(found), None, looked_at)
            after = Place(first["last_created_at"], first["last_request_id"])
            if time.monotonic() > until:
                return Page(tuple(found), after, looked_at)

    async def these(self, request_ids: Sequence[RequestId]) -> list[ReceiptRow]:
        """Return those of some receipts that there are, in no order."""
        if not request_ids:
            return []
        async with self._using() as connections:
            digests = [one.digest for one in request_ids]
            rows = await connections.rows("rows_of_receipts", digests, timeout=TRY)
        return [receipt_row(row) for row in rows]

    async def show(self, request_id: RequestId) -> tuple[Receipt, tuple[EventRow, ...]] | None:
        """Return a receipt, expired or not, and its history, oldest first; None if there is none."""
        async with self._catalogue() as catalogue:
            return await catalogue.show(request_id)

    async def doubts(self, limit: int) -> Doubts:
        """Return at most ``limit`` receipts in doubt, those that have been for the longest first.

        The claims of a dead proxy are among them as soon as another one has looked after them, within half a
        minute.
        """
        async with self._using() as connections:
            count, oldest = await count_doubts(connections)
            rows = await connections.rows("oldest_doubts", limit, timeout=TRY)
        ids = [RequestId(row["request_id"]) for row in rows]
        async with self._catalogue() as catalogue:
            scopes = {row.request_id: row.scope for row in await catalogue.live(ids)}
            shown = [await catalogue.show(request_id) for request_id in ids]
        receipts = [one[0] for one in shown if one is not None and one[0].state is State.IN_DOUBT]
        found = (Doubted(receipt, scopes.get(receipt.request_id, ())) for receipt in receipts)
        return Doubts(tuple(found), count, oldest)

    async def body(self, receipt: Receipt) -> Body | None:
        """Return the body of a receipt that was just shown; None: there is none, or not all of it.

        Raises:
            Unreadable: it is encrypted, and can't be decrypted.
        """
        async with self._catalogue() as catalogue:
            return await catalogue.body(receipt)

    async def scope(self, request_id: RequestId) -> tuple[str, ...]:
        """Return the scope of a receipt; empty where there is none any more."""
        async with self._catalogue() as catalogue:
            return next((row.scope for row in await catalogue.live([request_id])), ())

    async def resolve(
        self, request_id: RequestId, resolution: Resolution, attempt: int | None = None
    ) -> bool:
        """Settle a doubt by a person's word; return whether that changed anything.

        ``attempt``: the one that the person looked at; None: whichever is the last.

        Raises:
            NotPossible: there is no such receipt, it is not in doubt, or another attempt has begun.
        """
        async with self._using() as connections:
            return await resolve_by_hand(connections, request_id, resolution, self._keyring, attempt)

    async def purge(self, request_id: RequestId, note: str) -> None:
        """Remove a receipt, so that the next copy of its action is a new one.

        Raises:
            NotPossible: there is no such receipt, or nobody knows yet whether its action happened.
        """
        async with self._using() as connections:
            await purge(connections, request_id, note)

    async def instances(self) -> list[InstanceRow]:
        """Return the proxies that live, and those that ended in the last day."""
        async with self._using() as connections:
            rows = await connections.rows("list_instances", LATELY, timeout=TRY)
        return [InstanceRow(**row) for row in rows]

    async def counts_by_route(self, looked_at: int = COUNTED) -> list[RouteCount]:
        """Count the newest ``looked_at`` receipts by route and state; the state as it is stored."""
        async with self._using() as connections:
            rows = await connections.rows("counts_by_route", looked_at, timeout=TRY)
        return [RouteCount(row["route"], State(row["state"]), row["receipts"], row["newest"]) for row in rows]

    async def counts_by_time(
        self, back: timedelta, width: timedelta, looked_at: int = COUNTED
    ) -> list[SliceCount]:
        """Count the receipts first claimed in the time ``back``, or the newest of them, by slices."""
        async with self._using() as connections:
            rows = await connections.rows("counts_by_time", back, width, looked_at, timeout=TRY)
        return [SliceCount(row["slice"], State(row["state"]), row["receipts"]) for row in rows]

    async def _open(self) -> Connections:
        async with AsyncExitStack() as parts:
            url = await parts.enter_async_context(self._database())
            connections = await Connections.open(url, SIZE)
            parts.push_async_callback(connections.close)
            self._parts.push_async_callback(parts.pop_all().aclose)
        return connections

    @asynccontextmanager
    async def _catalogue(self) -> AsyncIterator[Catalogue]:
        async with self._using() as connections, connections.lent(TRY) as connection:
            yield Catalogue(connection, self._keyring)

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[Connections]:
        try:
            async with self._opening:
                if self._connections is None:
                    self._connections = await self._open()
            yield self._connections
        except DATABASE_ERRORS as error:
            if not is_outage(error):
                raise
            raise StoreUnavailable("the database does not answer") from error
