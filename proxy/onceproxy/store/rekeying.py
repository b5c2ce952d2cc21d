"""Encrypting stored answers with the first key, whatever they are encrypted with now, if at all.

One receipt at a time, each in a transaction of its own, with pauses between the pages: proxies go on beside
it. What is done is seen by its key, so whoever is interrupted begins again and finds the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from onceproxy.core.messages import BodyApart, BodyNotKept, digest_of
from onceproxy.core.receipts import Receipt, RequestId
from onceproxy.guard.ports import Unreadable
from onceproxy.sealing.answers import SEALED, opened_part, opened_receipt, sealed_response
from onceproxy.sealing.keyring import ID_SIZE, MAGIC, Keyring, key_id, prefix
from onceproxy.store.connection import Connections, Run
from onceproxy.store.parts import divided, joined
from onceproxy.store.rows import receipt_of, response_values

PAGE = 500  # receipts looked at in one statement
TRY = 30.0  # seconds for one statement
LONGEST = 600.0  # seconds for one receipt: 512 MiB in parts
REST = 1.0  # seconds of pause for each second of work: half of one connection's time is for others
NEWEST = 1000  # receipts whose keys are looked at when a store is opened

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """How far a walk has come: receipts looked at, encrypted anew, and those that can't be read here."""

    looked: int = 0
    rewritten: int = 0
    unreadable: tuple[tuple[RequestId, str], ...] = ()


async def rekey(
    connections: Connections,
    keyring: Keyring,
    told: Callable[[Rekeyed], None] = lambda _: None,
    *,
    page: int = PAGE,
    rest: float = REST,
) -> Rekeyed:
    """Walk through all receipts once. May run beside anything that knows the keys.

    Args:
        connections: to the database.
        keyring: the keys; the first one is the one wanted.
        told: is called after each page.
        page: receipts looked at in one statement, 1 or more.
        rest: seconds of pause for each second of work, 0 or more.

    Raises:
        ValueError: there is no key to encrypt with.
    """
    if keyring.writes is None:
        raise ValueError("there is no key to encrypt with")
    after, last, done = _EPOCH, b"", Rekeyed()
    while True:
        began = time.monotonic()
        row = await connections.run(
            "to_rekey", after, last, page, SEALED, prefix(keyring.writes), timeout=TRY
        )
        assert row is not None
        for digest in row["found"]:
            done = await _one(connections, keyring, RequestId(digest), done)
        done = replace(done, looked=done.looked + row["looked"])
        told(done)
        if row["created_at"] is None:
            return done
        after, last = row["created_at"], row["request_id"]
        await asyncio.sleep((time.monotonic() - began) * rest)


async def unknown_keys(connections: Connections, keyring: Keyring) -> list[str]:
    """Return the ids of keys that the newest receipts are encrypted with, and that are not in ``keyring``."""
    row = await connections.run("keys_in_use", SEALED, len(MAGIC) + ID_SIZE, NEWEST, timeout=TRY)
    assert row is not None
    return sorted({key_id(beginning) for beginning in row["beginnings"]} - keyring.ids)


async def _one(connections: Connections, keyring: Keyring, request_id: RequestId, done: Rekeyed) -> Rekeyed:
    async with connections.transaction(LONGEST) as run:
        row = await run("lock_receipt", request_id.digest)
        if row is None:
            return done  # it has expired since
        stored = receipt_of(row)
        receipt = opened_receipt(keyring, stored)
        try:
            if receipt.unreadable is not None:
                raise Unreadable(receipt.unreadable)
            await _rewrite(run, keyring, receipt, row["token"])
        except Unreadable as error:
            return replace(done, unreadable=(*done.unreadable, (request_id, str(error))))
    return replace(done, rewritten=done.rewritten + 1)


async def _rewrite(run: Run, keyring: Keyring, receipt: Receipt, token: UUID) -> None:
    response = receipt.response
    assert response is not None
    apart = isinstance(response.body, BodyApart)
    if apart:

        async def fetch(number: int) -> bytes | None:
            row = await run("take_part", receipt.request_id.digest, token, number)
            return opened_part(keyring, receipt, number, row["data"]) if row is not None else None

        body = await joined(fetch, receipt)
        if body is None:
            raise Unreadable("a part of its body is missing or damaged")
        response = replace(response, body=body)
    elif not receipt.body_kept:
        response = replace(response, body=BodyNotKept(receipt.body_size, receipt.body_digest))
    sealed = sealed_response(
        keyring, receipt.request_id, receipt.attempt, response, keep_body=receipt.body_kept
    )
    if apart:
        for number, data in enumerate(divided(sealed.body)):
            await run("put_part", receipt.request_id.digest, token, number, data)
    reason, names, values, inline, _, size, _ = response_values(
        sealed, keep_body=receipt.body_kept, apart=apart
    )
    await run(
        "rewrite_answer",
        receipt.request_id.digest,
        reason,
        names,
        values,
        inline,
        size,
        digest_of(sealed.body),
    )
