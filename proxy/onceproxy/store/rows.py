"""Between rows and values: what a settlement writes, and what a receipt's row says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import asyncpg

from onceproxy.core.attempts import Attempt
from onceproxy.core.messages import EMPTY_BODY, Body, BodyApart, BytesBody, Response, digest_of
from onceproxy.core.outcomes import OutcomeKind
from onceproxy.core.policies import AfterTtl
from onceproxy.core.receipts import Action, IdentityKind, Receipt, RequestId, Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Settlement
from onceproxy.store.tokens import uuid_of

Row = asyncpg.Record

PART = 256 * 1024  # bytes; a larger body is not in its receipt's row, but in parts of this size

FOR_EVER = 1000 * 365 * 86_400.0  # seconds; an interval of Postgres has no infinity before version 17


def readable(text: str) -> str:
    r"""Return ``text`` as Postgres can keep it: NUL and bytes that were no UTF-8 become ``\x..`` escapes.

    For words that people read. Identity is made elsewhere, from the bytes.
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", r"\x00")


def action_values(action: Action) -> tuple[Any, ...]:
    """The parameters $4 to $17 of the statement ``claim``."""
    policy = action.policy
    *values, likeness = lone_claim_values(action)
    renewable = policy.after_ttl is AfterTtl.NEW
    return (*values, renewable, _window(policy.resend_window), policy.in_doubt.value, likeness)


def lone_claim_values(action: Action) -> tuple[Any, ...]:
    """The parameters $4 to $14 of the statement ``claim_one``."""
    return (
        action.kind.value,
        action.canonical,
        tuple(map(readable, action.scope)),
        action.fingerprint,
        action.credential,
        readable(action.route),
        readable(action.method),
        readable(action.url),
        _span(action.policy.ttl),
        _span(action.policy.tombstone),
        action.likeness.digest if action.likeness is not None else None,
    )


def claim_columns(claims: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The parameters of ``claim_new``, from those of ``claim_one`` of each."""
    rows, terms = [], _Places()
    for one in claims:
        digest, token, instance, kind, canonical, scope, fingerprint, credential, *rest = one
        route, method, url, ttl, tombstone, likeness = rest
        place = terms.of((instance, kind, canonical, route, method, ttl, tombstone))
        rows.append((digest, token, text_of_array(scope), fingerprint, credential, url, likeness, place))
    return (*zip(*rows, strict=True), *zip(*terms, strict=True))


def settlement_columns(settlements: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The parameters of ``settle_claimed``, from those of ``settle_one`` of each."""
    rows, ways = [], _Places()
    for one in settlements:
        digest, token, attempt, state, status, reason, names, lines, body, kept, *rest = one
        size, body_digest, phase, failure, detail, conclusion, event_id = rest
        how = ways.of((attempt, state, status, reason, names, kept, phase, failure, detail, conclusion))
        rows.append((digest, token, text_of_array(lines), body, size, body_digest, event_id, how))
    *first, names, kept, phases, failures, details, conclusions = zip(*ways, strict=True)
    texts = tuple(map(text_of_array, names))
    columns = zip(*rows, strict=True)
    return (*columns, *first, texts, kept, phases, failures, details, conclusions)


class _Places(dict[tuple[Any, ...], int]):
    """Different values, in the order in which they came, and the place of each, counted from 1."""

    def of(self, values: tuple[Any, ...]) -> int:
        return self.setdefault(values, len(self) + 1)


def text_of_array(items: Sequence[str | bytes] | None) -> str | None:
    """Write an array of texts, or of bytes, as Postgres reads one: an array of such arrays may be ragged."""
    if items is None:
        return None
    return "{" + ",".join(_quoted(item) for item in items) + "}"


def _quoted(item: str | bytes) -> str:
    if isinstance(item, bytes):
        return rf'"\\x{item.hex()}"'
    return '"' + item.replace("\\", r"\\").replace('"', r"\"") + '"'


@lru_cache(maxsize=256)  # there are as many as routes have
def _span(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _window(seconds: float | None) -> timedelta | None:
    return _span(min(seconds, FOR_EVER)) if seconds is not None else None


def parts_of(settlement: Settlement) -> int | None:
    """How many parts a settlement's body has; None: it is in the row, or not kept."""
    if settlement.outcome.kind is OutcomeKind.RELEASED or settlement.kept_size <= PART:
        return None
    return -(-settlement.kept_size // PART)


def settlement_values(settlement: Settlement, *, apart: bool = False) -> tuple[Any, ...]:
    """The parameters $4 to $16 of the statement ``settle``. ``apart``: the body is in parts.

    Raises:
        ValueError: the settlement says completed and brings no response.
    """
    kind, attempt = settlement.outcome.kind, settlement.attempt
    if kind is OutcomeKind.COMPLETED and attempt.response is None:
        raise ValueError("an attempt that completed has a response")
    response = settlement.response
    status = response.status if response is not None else attempt.status
    # What was released did not happen: the status that said so is all that is worth keeping.
    kept = None if kind is OutcomeKind.RELEASED else response
    return (
        kind.value,
        status,
        *response_values(kept, keep_body=settlement.keep_body, apart=apart),
        *evidence_values(attempt),
        settlement.outcome.reason,
    )


def event_of(token: UUID, kind: str) -> UUID:
    """The id of the event that an attempt causes, the same each time it is written."""
    return uuid_of(token.int ^ _mark(kind))


@lru_cache(maxsize=64)  # there are fewer kinds
def _mark(kind: str) -> int:
    return uuid5(NAMESPACE_OID, f"onceproxy event {kind}").int


def evidence_values(attempt: Attempt) -> tuple[str, str | None, str]:
    """Phase, failure and detail of an attempt."""
    failure = attempt.failure.value if attempt.failure is not None else None
    return attempt.phase.value, failure, readable(attempt.detail)


def response_values(
    response: Response | None, *, keep_body: bool = True, apart: bool = False
) -> tuple[Any, ...]:
    """Reason, header names, header values, body, whether the body is kept, its size and its digest.

    ``apart``: the body is kept in parts.
    """
    if response is None:
        return None, None, None, None, True, None, None
    names, values = zip(*response.headers, strict=True) if response.headers else ((), ())
    return (
        response.reason,
        names,
        values,
        response.body.read() if keep_body and not apart else None,
        keep_body,
        response.body.size,
        digest_of(response.body),
    )


def receipt_of(row: Row) -> Receipt:
    """The receipt that a row of the statement ``read`` shows."""
    state = State(row["state"])
    if state is State.COMPLETED and row["expired"]:
        state = State.TOMBSTONE  # seen, not done: the row changes with the next claim or clean-up
    return Receipt(
        request_id=RequestId(row["request_id"]),
        state=state,
        attempt=row["attempt"],
        kind=IdentityKind(row["kind"]),
        fingerprint=row["fingerprint"],
        credential=row["credential"],
        route=row["route"],
        method=row["method"],
        url=row["url"],
        age=max(0.0, row["age"]),
        lease_left=max(0.0, row["lease_left"]),
        response=_response_of(row) if state is not State.TOMBSTONE else None,
        body_kept=row["body_kept"],
        body_size=row["body_size"] or 0,
        body_digest=row["body_digest"] or b"",
        phase=row["phase"],
        failure=row["failure"],
        detail=row["detail"],
        source=Source(row["source"]),
        first_age=max(0.0, row["first_age"]),
        expires_in=max(0.0, row["expires_in"] or 0.0),
    )


def _response_of(row: Row) -> Response | None:
    if row["header_names"] is None:
        return None
    body: Body = BytesBody(row["body"]) if row["body"] else EMPTY_BODY
    if row["in_parts"]:
        body = BodyApart(row["body_size"], row["body_digest"])
    return Response(
        status=row["status"],
        reason=row["reason"],
        headers=tuple(zip(row["header_names"], row["header_values"], strict=True)),
        body=body,
    )
