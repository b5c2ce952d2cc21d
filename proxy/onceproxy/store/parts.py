"""Large bodies: kept in parts, written and read one at a time, so that none is ever whole in memory.

The parts of a body are written before the settlement that makes them count, and their commits do not wait for
the disk. That is safe because the settlement's commit flushes the log up to itself, and they come before it.
What it can't know is whether the server crashed in between and forgot some of them: so the settlement counts
them, and is refused where they are not all there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from weakref import WeakValueDictionary

from onceproxy.core.messages import Body
from onceproxy.core.receipts import Claim, Receipt
from onceproxy.guard.capture import Capture
from onceproxy.guard.ports import Settlement
from onceproxy.guard.room import ENDLESS, Room
from onceproxy.sealing.answers import is_sealed, opened_part
from onceproxy.sealing.keyring import MAGIC, Keyring
from onceproxy.store.connection import Connections
from onceproxy.store.retrying import persist
from onceproxy.store.rows import PART, parts_of

TRY = 5.0  # seconds for one part
# Bodies that are written, and read, at the same time. They share their connections with claims, and the rest
# of them must do for those.
WRITERS = 2
READERS = 2

Fetch = Callable[[int], Awaitable[bytes | None]]
"""Gives a part by its number."""


class Parts:
    """Writes and reads the parts of bodies; few at once, so that memory and connections are bounded."""

    def __init__(self, connections: Connections, keyring: Keyring, room: Room = ENDLESS) -> None:
        self._connections = connections
        self._keyring = keyring
        self._room = room
        self._writing = asyncio.Semaphore(WRITERS)
        self._reading = asyncio.Semaphore(READERS)
        # What is being sent to one copy will do for the others: a thousand may wait for one receipt.
        self._loaded: WeakValueDictionary[tuple[bytes, int, bytes], Capture] = WeakValueDictionary()

    async def write(self, claim: Claim, settlement: Settlement) -> None:
        """Write what is missing of a settlement's body, if that is large. Raises what asyncpg raises.

        Parts that are there and sealed otherwise are of no use: keys were set since they were written.
        """
        response = settlement.response
        if response is None or parts_of(settlement) is None:
            return
        digest, token, sealed = claim.request_id.digest, claim.token, is_sealed(response)
        async with self._writing:
            row = await self._connections.run("list_parts", digest, token, MAGIC, timeout=TRY)
            assert row is not None
            there = frozenset(row["numbers"])
            if there and row["sealed"] != (len(there) if sealed else 0):
                await self._connections.run("drop_parts", digest, token, timeout=TRY)
                there = frozenset()
            for number, data in enumerate(divided(response.body)):
                if number not in there:
                    await self._connections.run("write_part", digest, token, number, data, timeout=TRY)

    async def load(self, receipt: Receipt, patience: float) -> Body | None:
        """Return the body of a receipt; None: it is not there any more, or not as it was written.

        ``patience``: seconds to keep trying for each part.

        Raises:
            StoreUnavailable: the database is away.
            Unreadable: a part can't be decrypted.
            OSError: this machine's disk does not take the body.
            OverLimit: there is no room for it.
        """

        async def fetch(number: int) -> bytes | None:
            row = await persist(
                lambda: self._connections.run(
                    "read_part", receipt.request_id.digest, receipt.attempt, number, timeout=TRY
                ),
                patience,
            )
            return opened_part(self._keyring, receipt, number, row["data"]) if row is not None else None

        which = (receipt.request_id.digest, receipt.attempt, receipt.body_digest)
        async with self._reading:
            body = self._loaded.get(which) or await joined(fetch, receipt, self._room)
        if body is not None:
            self._loaded[which] = body
        return body


def divided(body: Body) -> Iterator[bytes]:
    """Yield a body in parts of ``PART`` bytes; only the last one may be shorter."""
    held = bytearray()
    for chunk in body.chunks():
        held += chunk
        while len(held) >= PART:
            yield bytes(held[:PART])
            del held[:PART]
    if held:
        yield bytes(held)


async def joined(fetch: Fetch, receipt: Receipt, room: Room = ENDLESS) -> Capture | None:
    """Return a body from its parts; None if one is missing, or they are not what the receipt says."""
    body, number = Capture(room, refusable=True), 0
    while body.size < receipt.body_size:
        data = await fetch(number)
        if not data:
            return None
        body.write(data)
        number += 1
    whole = body.size == receipt.body_size and body.digest == receipt.body_digest
    return body if whole else None
