"""What a person may do to a receipt: say what happened, or remove it; either leaves a note behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from onceproxy.core.hygiene import end_to_end, storable
from onceproxy.core.messages import BytesBody, RawHeaders, Response, digest_of
from onceproxy.core.receipts import Receipt, RequestId, Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Resolution
from onceproxy.sealing.answers import opened_receipt, sealed_resolution
from onceproxy.sealing.keyring import Keyring
from onceproxy.store.catalogue import Catalogue
from onceproxy.store.connection import Connections, describe
from onceproxy.store.errors import DATABASE_ERRORS, DatabaseUnreachable, is_outage
from onceproxy.store.reading import look
from onceproxy.store.resolutions import TRY, resolve


class NotPossible(Exception):
    """A receipt is in a state in which it can't be resolved or purged; the text says why and what can be."""


def entered_response(status: int, headers: RawHeaders, body: bytes) -> Response:
    """Return the response that a person enters for copies to get, without lines that are for a connection."""
    lines = storable(end_to_end(headers))
    kept = tuple(line for line in lines if line[0].lower() != b"content-length")  # the body has its own
    try:
        reason = HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        reason = b""
    return Response(status, reason, kept, BytesBody(body))


@asynccontextmanager
async def operating(url: str, *, connect_timeout: float = 10.0) -> AsyncIterator[Connections]:
    """Yield a connection or two to a database that holds receipts. No proxy needs to run.

    Raises:
        DatabaseUnreachable: no connection within ``connect_timeout`` seconds, or it was lost.
        SchemaMissing: nobody has used the database yet, or not since this version was installed.
        SchemaTooNew: a newer version migrated it.
    """
    async with await Catalogue.open(url, connect_timeout=connect_timeout):
        pass  # it is a database of ours
    try:
        connections = await Connections.open(url, 2)
        try:
            yield connections
        finally:
            await connections.close()
    except DATABASE_ERRORS as error:
        if not is_outage(error):
            raise
        raise DatabaseUnreachable(
            f"{describe(url)} went away; it is not known whether the change was made: look at the receipt"
        ) from error


async def resolve_by_hand(
    connections: Connections,
    request_id: RequestId,
    resolution: Resolution,
    keyring: Keyring | None = None,
    attempt: int | None = None,
) -> bool:
    """Settle a doubt by a person's word; return whether that changed anything. Raises what asyncpg raises.

    The same word may be given again: it is heard once. ``keyring``: the keys of stored answers. ``attempt``:
    the one that the person looked at; None: whichever is the last.

    Raises:
        NotPossible: there is no such receipt, it is not in doubt, or another attempt has begun.
    """
    seen = await look(connections, request_id)  # also puts a claim in doubt whose owner is gone
    if seen is None:
        raise NotPossible(_why_not(request_id, State.ABSENT, ""))
    if attempt not in (None, seen.receipt.attempt):
        raise NotPossible(f"attempt {seen.receipt.attempt} of {request_id} has begun; look at it again")
    keyring = keyring or Keyring()
    if seen.receipt.state is not State.IN_DOUBT:
        if _says_so(opened_receipt(keyring, seen.receipt), resolution):
            return False
        raise NotPossible(_why_not(request_id, seen.receipt.state, "Only what is in doubt can be resolved."))
    sealed = sealed_resolution(keyring, request_id, seen.receipt.attempt, resolution)
    if not await resolve(connections, request_id, seen.receipt.attempt, sealed):
        raise NotPossible(f"{request_id} changed in the meantime; look at it again")
    return True


def _says_so(receipt: Receipt, resolution: Resolution) -> bool:
    """Say whether a receipt already says what a person says."""
    response, said = receipt.response, resolution.response
    if said is None:
        return receipt.state is State.RELEASED
    return (
        receipt.source is Source.OPERATOR
        and response is not None
        and (response.status, response.headers) == (said.status, said.headers)
        and receipt.body_digest == digest_of(said.body)
    )


async def purge(connections: Connections, request_id: RequestId, note: str) -> None:
    """Remove a receipt, so that the next copy of its action is a new one. Raises what asyncpg raises.

    Raises:
        NotPossible: there is no such receipt, or nobody knows yet whether its action happened.
    """
    row = await connections.run("purge", request_id.digest, note, timeout=TRY, reserved=True)
    assert row is not None
    if row["purged"]:
        return
    state = State(row["state"]) if row["state"] is not None else State.ABSENT
    remedy = (
        "Say first what became of it: `onceproxy receipts resolve`."
        if state is State.IN_DOUBT
        else "Only what is settled can be purged."
    )
    raise NotPossible(_why_not(request_id, state, remedy))


def _why_not(request_id: RequestId, state: State, remedy: str) -> str:
    if state is State.ABSENT:
        return f"there is no receipt {request_id}"
    return f"{request_id} is {state}. {remedy}"
