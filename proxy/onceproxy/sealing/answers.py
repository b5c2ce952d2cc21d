"""What a receipt keeps of an answer, sealed: ``sealed_…`` on the way in, ``opened_…`` on the way out.

A sealed answer has its status, one header line of a name that no upstream can send, in which all the rest
of the head is, and its body in segments. Stores and spools need not know: it is a response like any other.
All of it is bound to the request_id, the attempt and the status, so that neither rows nor parts can be
exchanged.

What is not sealed is read as it is: keys may be set, and changed, while there are receipts.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial

from onceproxy.core.canonical import LENGTH, pack, unpack
from onceproxy.core.messages import (
    Body,
    BodyApart,
    BodyNotKept,
    BytesBody,
    Response,
    digest_of,
)
from onceproxy.core.receipts import Claim, Receipt, RequestId
from onceproxy.guard.ports import Resolution, Settlement, Unreadable
from onceproxy.sealing.bodies import SEGMENT, OpenedBody, SealedBody
from onceproxy.sealing.keyring import Keyring

SEALED = b"\0sealed"
"""The name of the one header line of a sealed answer."""


def sealed_settlement(keyring: Keyring, claim: Claim, settlement: Settlement) -> Settlement:
    """Return a settlement whose answer, if it has one, is sealed; as it is where there is no key."""
    response, attempt = settlement.response, settlement.attempt
    if keyring.writes is None or response is None:
        return settlement
    sealed = sealed_response(
        keyring, claim.request_id, claim.attempt, response, keep_body=settlement.keep_body
    )
    if attempt.response is None:
        return replace(settlement, attempt=replace(attempt, partial=sealed))
    return replace(settlement, attempt=replace(attempt, response=sealed))


def opened_settlement(keyring: Keyring, claim: Claim, settlement: Settlement) -> Settlement:
    """Return what ``sealed_settlement`` was given; as it is where it was not sealed.

    Raises:
        Unreadable: it can't be opened. That may also come when its body is read.
    """
    response, attempt = settlement.response, settlement.attempt
    if response is None or not is_sealed(response):
        return settlement
    opened = _opened(keyring, claim.request_id, claim.attempt, response, kept=settlement.keep_body)
    if attempt.response is None:
        return replace(settlement, attempt=replace(attempt, partial=opened))
    return replace(settlement, attempt=replace(attempt, response=opened))


def sealed_resolution(
    keyring: Keyring, request_id: RequestId, attempt: int, resolution: Resolution
) -> Resolution:
    """Return a resolution whose answer, if it has one, is sealed; as it is where there is no key."""
    if keyring.writes is None or resolution.response is None:
        return resolution
    return replace(resolution, response=sealed_response(keyring, request_id, attempt, resolution.response))


def opened_receipt(keyring: Keyring, receipt: Receipt) -> Receipt:
    """Return a receipt with its answer as it was; one that can't be opened says why, and has its status.

    A body that is apart stays apart: see ``opened_part``.
    """
    response = receipt.response
    if response is None or not is_sealed(response):
        return receipt
    try:
        opened = _opened(keyring, receipt.request_id, receipt.attempt, response, kept=receipt.body_kept)
        if not isinstance(opened.body, BodyApart | BodyNotKept):
            opened = replace(opened, body=BytesBody(opened.body.read()))
    except Unreadable as error:
        unknown = BodyNotKept(receipt.body_size, receipt.body_digest)
        blank = Response(response.status, b"", (), unknown)
        return replace(receipt, response=blank, unreadable=str(error))
    size, digest = opened.body.size, digest_of(opened.body)
    body = opened.body if receipt.body_kept else BytesBody()
    return replace(receipt, response=replace(opened, body=body), body_size=size, body_digest=digest)


def opened_part(keyring: Keyring, receipt: Receipt, number: int, data: bytes) -> bytes:
    """Return a part of the body of an opened receipt.

    Raises:
        Unreadable: it can't be opened.
    """
    body = receipt.response.body if receipt.response is not None else None
    if not isinstance(body, BodyApart) or not body.sealed:
        return data
    return keyring.open(data, _bound(b"body", receipt.request_id, receipt.attempt, number))


def is_encrypted_since(before: Receipt, now: Receipt) -> bool:
    """Say whether the body of a receipt was in parts that were not sealed, and now is in others that are."""
    if before.response is None or now.response is None or before.attempt != now.attempt:
        return False
    one, other = before.response.body, now.response.body
    return isinstance(one, BodyApart) and isinstance(other, BodyApart) and other.sealed and not one.sealed


def is_sealed(response: Response) -> bool:
    """Say whether a response is a sealed one."""
    return len(response.headers) == 1 and response.headers[0][0] == SEALED


def sealed_response(
    keyring: Keyring, request_id: RequestId, attempt: int, response: Response, *, keep_body: bool = True
) -> Response:
    """Return a response sealed."""
    names, values = zip(*response.headers, strict=True) if response.headers else ((), ())
    told = (
        response.reason,
        response.body.size.to_bytes(LENGTH, "big"),
        digest_of(response.body),
        pack(names),
        pack(values),
    )
    head = keyring.seal(pack(told), _bound(b"head", request_id, attempt, response.status))
    body: Body = BodyNotKept(response.body.size, hashlib.sha256(head).digest())
    if keep_body:
        sealed = SealedBody(keyring, response.body, partial(_bound, b"body", request_id, attempt))
        body = BytesBody(sealed.read()) if sealed.size <= SEGMENT else sealed
    return Response(response.status, b"", ((SEALED, head),), body)


def _opened(
    keyring: Keyring, request_id: RequestId, attempt: int, sealed: Response, *, kept: bool
) -> Response:
    head = keyring.open(sealed.headers[0][1], _bound(b"head", request_id, attempt, sealed.status))
    parts = unpack(head) or []
    reason, length, digest, names, values = parts
    size = int.from_bytes(length, "big")
    headers = tuple(zip(unpack(names) or (), unpack(values) or (), strict=True))
    body: Body = BodyNotKept(size, digest)
    if isinstance(sealed.body, BodyApart):
        body = BodyApart(size, digest, sealed=True)
    elif kept:
        body = OpenedBody(keyring, sealed.body, partial(_bound, b"body", request_id, attempt), size, digest)
    return Response(sealed.status, reason, headers, body)


def _bound(what: bytes, request_id: RequestId, attempt: int, number: int) -> bytes:
    numbers = (attempt.to_bytes(LENGTH, "big"), number.to_bytes(LENGTH, "big"))
    return pack((b"onceproxy answer", what, request_id.digest, *numbers))
