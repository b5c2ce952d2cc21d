"""Answers sealed on the way into a store or spool, and opened on the way out."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from onceproxy.core.messages import BodyApart, BytesBody, Response, digest_of
from onceproxy.core.receipts import Claim, IdentityKind, Receipt, RequestId, Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Resolution, Unreadable
from onceproxy.sealing.answers import (
    is_sealed,
    opened_part,
    opened_receipt,
    opened_settlement,
    sealed_resolution,
    sealed_response,
    sealed_settlement,
)
from onceproxy.sealing.bodies import SEGMENT, plain_size
from onceproxy.sealing.keyring import OVERHEAD, Key, Keyring
from onceproxy.store.parts import divided
from onceproxy.store.rows import PART, parts_of
from stores import completed, in_doubt, released

RING = Keyring([Key("k1", b"1" * 32)])
ID = RequestId(bytes(32))
CLAIM = Claim(ID, uuid4(), 1)
HEADERS = ((b"X-Second", b"2"), (b"x-first", b""), (b"X-Second", b"\xff"))
SIZES = [0, 1, PART - OVERHEAD, PART - OVERHEAD + 1, PART, 3 * PART]


def a_response(size: int = 5) -> Response:
    return Response(201, b"Made", HEADERS, BytesBody(b"xyzzy"[: size % 5] + b"xyzzy" * (size // 5)))


def a_receipt(response: Response | None, /, **changes: object) -> Receipt:
    receipt = Receipt(
        ID, State.COMPLETED, 1, IdentityKind.KEY, bytes(32), b"", "r", "POST", "http://h/", 0.0,
        response=response,
    )  # fmt: skip
    if response is not None:
        receipt = replace(receipt, body_size=response.body.size, body_digest=digest_of(response.body))
    return replace(receipt, **changes)  # type: ignore[arg-type]


def test_a_segment_is_a_part() -> None:
    assert SEGMENT == PART


@pytest.mark.parametrize("size", SIZES)
def test_a_settlement_there_and_back(size: int) -> None:
    sealed = sealed_settlement(RING, CLAIM, completed(a_response(size)))
    assert sealed.response is not None

    assert is_sealed(sealed.response)
    assert sealed.response.status == 201
    assert sealed.response.body.size == len(sealed.response.body.read())
    assert sealed.response.body.read() == sealed.response.body.read()
    assert plain_size(sealed.response.body.size) == size
    assert b"xyzzy" not in sealed.response.body.read()
    opened = opened_settlement(RING, CLAIM, sealed)
    assert opened.response is not None
    assert opened.response.body.read() == a_response(size).body.read()
    assert replace(opened.response, body=BytesBody()) == replace(a_response(), body=BytesBody())


@pytest.mark.parametrize("size", SIZES)
def test_a_receipt_is_opened_in_the_row_and_in_parts(size: int) -> None:
    settlement = sealed_settlement(RING, CLAIM, completed(a_response(size)))
    assert settlement.response is not None
    row, parts = a_receipt(settlement.response), list(divided(settlement.response.body))

    assert (parts_of(settlement) or 1) == max(1, len(parts))
    receipt = opened_receipt(RING, row)
    assert receipt.response == a_response(size)
    assert (receipt.body_size, receipt.body_digest) == (size, digest_of(a_response(size).body))

    apart = BodyApart(row.body_size, row.body_digest)
    receipt = opened_receipt(RING, replace(row, response=replace(settlement.response, body=apart)))
    assert receipt.response is not None
    assert receipt.response.body == BodyApart(size, digest_of(a_response(size).body), sealed=True)
    plain = b"".join(opened_part(RING, receipt, number, part) for number, part in enumerate(parts))
    assert plain == a_response(size).body.read()


def test_parts_can_not_change_places() -> None:
    receipt = opened_receipt(RING, a_receipt(sealed_response(RING, ID, 1, a_response())))
    receipt = replace(receipt, response=replace(a_response(), body=BodyApart(0, b"", sealed=True)))
    sealed = sealed_response(RING, ID, 1, a_response(2 * PART))
    first, second, *_ = divided(sealed.body)

    opened_part(RING, receipt, 0, first)
    with pytest.raises(Unreadable):
        opened_part(RING, receipt, 0, second)
    with pytest.raises(Unreadable):
        opened_part(RING, replace(receipt, attempt=2), 0, first)


@pytest.mark.parametrize(
    ("ring", "change", "why"),
    [
        (RING, {"request_id": RequestId(b"2" * 32)}, "changed after"),
        (RING, {"attempt": 2}, "changed after"),
        (
            RING,
            {"response": replace(sealed_response(RING, ID, 1, a_response()), status=200)},
            "changed after",
        ),
        (Keyring(), {}, "'k1', which is not in encryption.keys"),
        (Keyring([Key("k1", b"2" * 32)]), {}, "another one"),
    ],
)
def test_what_can_not_be_opened_says_why_and_has_its_status(
    ring: Keyring, change: dict[str, object], why: str
) -> None:
    row = a_receipt(sealed_response(RING, ID, 1, a_response()), **change)

    receipt = opened_receipt(ring, row)

    assert receipt.unreadable is not None
    assert why in receipt.unreadable
    assert receipt.response is not None
    assert receipt.response.headers == ()
    assert receipt.response.body.read() == b""


def test_a_body_of_another_answer_is_noticed() -> None:
    one = sealed_response(RING, ID, 1, a_response(10))
    other = sealed_response(RING, ID, 1, a_response(15))

    assert opened_receipt(RING, a_receipt(replace(one, body=other.body))).unreadable is not None


def test_a_body_that_is_not_kept_leaves_size_and_digest_to_the_owner_of_the_key_alone() -> None:
    settlement = sealed_settlement(RING, CLAIM, completed(a_response(), keep_body=False))
    assert settlement.response is not None
    assert digest_of(settlement.response.body) != digest_of(a_response().body)

    receipt = opened_receipt(RING, a_receipt(settlement.response, body_kept=False))

    assert (receipt.body_size, receipt.body_digest) == (5, digest_of(a_response().body))


def test_evidence_is_sealed_and_what_is_no_answer_is_left_alone() -> None:
    doubt = sealed_settlement(RING, CLAIM, in_doubt(500))
    assert doubt.response is not None
    assert is_sealed(doubt.response)
    assert sealed_settlement(RING, CLAIM, in_doubt()) == in_doubt()
    assert sealed_settlement(Keyring(), CLAIM, released()) == released()
    assert opened_receipt(RING, a_receipt(a_response())) == a_receipt(a_response())
    assert opened_receipt(RING, a_receipt(None)) == a_receipt(None)


def test_a_cut_answer_stays_one() -> None:
    whole = completed(a_response())
    cut = replace(whole, attempt=replace(whole.attempt, response=None, partial=a_response()))

    sealed = sealed_settlement(RING, CLAIM, cut)

    assert sealed.attempt.response is None
    assert opened_settlement(RING, CLAIM, sealed).response is not None


def test_a_resolution() -> None:
    said = Resolution(True, Source.OPERATOR, "seen", a_response(3 * PART))

    sealed = sealed_resolution(RING, ID, 1, said)

    assert opened_receipt(RING, a_receipt(sealed.response)).response == said.response
    assert sealed_resolution(RING, ID, 1, replace(said, response=None)).response is None
