"""Entries of the audit trail that change no state: many in one statement, and none worth a client's wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from uuid import UUID

from onceproxy.core.receipts import RequestId
from onceproxy.guard.ports import Note, StoreUnavailable
from onceproxy.store.batching import ROWS, Batched, Lane, NotBatched
from onceproxy.store.connection import Connections
from onceproxy.store.errors import DATABASE_ERRORS

TRY = 2.0  # seconds for one statement

Values = tuple[bytes, UUID, str, str]


class Notes:
    """Writes notes. One statement is under way at a time: while the database is slow, more go together."""

    def __init__(self, connections: Connections, batched: Batched | None = None) -> None:
        self._connections = connections
        self._batched = batched
        self._lane: Lane[Values, None] = Lane(
            "notes", partial(_note, connections), batched=batched, flights=1
        )

    async def write(self, request_id: RequestId, instance: UUID, note: Note, reason: str) -> None:
        """Write one note, with one try.

        Raises:
            StoreUnavailable: the database is away, or does not take it.
        """
        try:
            await self._lane.ask(request_id.digest, (request_id.digest, instance, note.value, reason))
        except NotBatched as error:
            raise StoreUnavailable("the database did not take an entry of the audit trail") from error

    async def write_replays(self, copies: Mapping[RequestId, int], instance: UUID) -> None:
        """Write one note for each action whose receipt was replayed, with one try for each batch.

        Raises:
            StoreUnavailable: the database is away, or does not take them.
        """
        rows = iter(sorted((one.digest, number) for one, number in copies.items()))
        try:
            while batch := list(islice(rows, ROWS)):
                notes = [
                    (digest, instance, Note.REPLAYED.value, f"{number} copies" if number > 1 else "")
                    for digest, number in batch
                ]
                if self._batched is not None:
                    self._batched("notes", len(notes))
                await _note(self._connections, notes)
        except DATABASE_ERRORS as error:
            raise StoreUnavailable("the database did not take entries of the audit trail") from error

    async def close(self, timeout: float) -> None:
        """Let what is under way end for ``timeout`` seconds."""
        await self._lane.close(timeout)


async def _note(connections: Connections, batch: Sequence[Values]) -> Sequence[None]:
    await connections.run("note", *zip(*batch, strict=True), timeout=TRY)
    return [None] * len(batch)
