"""Between rows and values: what a settlement writes, and what a receipt's row says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg

from onceproxy.core.attempts import Attempt
from onceproxy.core.messages import EMPTY_BODY, Body, BodyApart, BytesBody, Response, digest_of
from onceproxy.core.outcomes import OutcomeKind
from onceproxy.core.policies import AfterTtl
from onceproxy.core.receipts import Action, IdentityKind, Receipt, RequestId, Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Settlement

Row = asyncpg.Record

PART = 256 * 1024  # bytes; a larger body is not in its receipt's row, but in parts of this size

FOR_EVER = 1000 * 365 * 86_400.0  # seconds; an interval of Postgres has no infinity before version 17


def readable(text: str) -> str:
    r"""Return ``text`` as Postgres can keep it: NUL and bytes that were no UTF-8 become ``\x..`` escapes.

    For words that people read. Identity is made elsewhere, from the bytes.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", r"\x00")


def action_values(action: Action) -> tuple[Any, ...]:
    """The parameters $4 to $17 of the statement ``claim``."""
    policy = action.policy
    return (
        action.kind.value,
        action.canonical,
        [readable(part) for part in action.scope],
        action.fingerprint,
        action.credential,
        readable(action.route),
        readable(action.method),
        readable(action.url),
        timedelta(seconds=policy.ttl),
        timedelta(seconds=policy.tombstone),
        policy.after_ttl is AfterTtl.NEW,
        _window(policy.resend_window),
        policy.in_doubt.value,
        action.likeness.digest if action.likeness is not None else None,
    )


def lone_claim_values(action: Action) -> tuple[Any, ...]:
    """The parameters $4 to $14 of the statement ``claim_one``."""
    *values, _, _, _, likeness = action_values(action)
    return (*values, likeness)


def new_claim_values(action: Action) -> tuple[Any, ...]:
    """The parameters $4 to $14 of the statement ``claim_new``, for one action."""
    kind, canonical, scope, *rest = lone_claim_values(action)
    return (kind, canonical, text_of_array(scope), *rest)


def claimed_values(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The parameters $1 to $17 of ``settle_claimed``, for one attempt, from those of ``settle_one``."""
    *before, names, lines, body, kept, size, digest, phase, failure, detail, conclusion, event_id = values
    texts = text_of_array(names), text_of_array(lines)
    return (*before, *texts, body, kept, size, digest, phase, failure, detail, conclusion, event_id)


def text_of_array(items: Sequence[str | bytes] | None) -> str | None:
    """Write an array of texts, or of bytes, as Postgres reads one: an array of such arrays may be ragged."""
    if items is None:
        return None
    return "{" + ",".join(_quoted(item) for item in items) + "}"


def _quoted(item: str | bytes) -> str:
    if isinstance(item, bytes):
        return rf'"\\x{item.hex()}"'
    return '"' + item.replace("\\", r"\\").replace('"', r"\"") + '"'


def _window(seconds: float | None) -> timedelta | None:
    if seconds is None:
        return None
    return timedelta(seconds=min(seconds, FOR_EVER))


def parts_of(settlement: Settlement) -> int | None:
    """How many parts a settlement's body has; None: it is in the row, or not kept."""
    if settlement.outcome.kind is OutcomeKind.RELEASED or settlement.kept_size <= PART:
        return None
    return -(-settlement.kept_size // PART)


def settlement_values(settlement: Settlement) -> tuple[Any, ...]:
    """The parameters $4 to $16 of the statement ``settle``.

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
        *response_values(kept, keep_body=settlement.keep_body, apart=parts_of(settlement) is not None),
        *evidence_values(attempt),
        settlement.outcome.reason,
    )


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
    return (
        response.reason,
        [name for name, _ in response.headers],
        [value for _, value in response.headers],
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
