"""From the guard's answers to what a caller gets: a result, or an exception that says what is known."""

from __future__ import annotations

from typing import Any, TypeVar

from onceproxy.core.attempts import Failure
from onceproxy.core.messages import header_values
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Receipt, Source
from onceproxy.functions.codecs import Codec
from onceproxy.functions.errors import (
    GuardClosed,
    InProgress,
    KeyReused,
    OnceError,
    OutcomeUnknown,
    Overloaded,
    ReceiptExpired,
    ResultNotKept,
    ResultUnreadable,
    StoreUnavailable,
)
from onceproxy.functions.raising import EXCEPTION, Declared, NoSuchException
from onceproxy.guard.answers import Answer

T = TypeVar("T")

# The guard's own words for these are about requests.
_WITHOUT_WORDS: dict[str | None, str] = {
    None: "the process that ran it died, or lost its lease",
    "owner-lost": "the process that ran it died, or lost its lease",
    Failure.STOPPED: "the guard was closed, or the caller interrupted, while it ran",
}

_NOT_AGAIN = "It was not called again."
_ASK = "Ask for the result where the effect is; do not call it under another key."
_SAFE = "Calling it again later is safe."


def result_of(name: str, answer: Answer, codec: Codec[T], declared: Declared) -> T:
    """Return the result that an answer from a receipt holds.

    Raises:
        ResultUnreadable: it can't be read, or made again.
        BaseException: the final exception that the receipt holds.
    """
    response = answer.response
    assert response is not None
    kinds = header_values(response.headers, "content-type")
    kind = kinds[0].decode("latin-1") if kinds else ""
    data = response.body.read()
    about: dict[str, Any] = {"name": name, "request_id": str(answer.request_id), "attempt": answer.attempt}
    if kind == EXCEPTION:
        try:
            error = declared.again(data)
        except NoSuchException as why:
            raise ResultUnreadable(
                f"{name}: it ended with {why}, which is not in final_on here. {_NOT_AGAIN}", **about
            ) from None
        error.add_note(f"onceproxy: replayed from receipt {answer.request_id}; {name} was not called again")
        raise error
    if kind and kind != codec.content_type:
        raise ResultUnreadable(
            f"{name}: it happened, and its result is stored as {kind}, where {codec.content_type} is read. "
            f"{_NOT_AGAIN} {_ASK}",
            **about,
        )
    entered = answer.source is Source.OPERATOR
    try:
        # Somebody who says that it happened need not know what the function would have returned.
        return codec.decode(b"null" if entered and not data and not kind else data)
    except Exception as error:
        if entered and not data:
            raise ResultNotKept(
                f"{name}: somebody said that it happened, and entered no result. {_NOT_AGAIN} {_ASK}", **about
            ) from None
        raise ResultUnreadable(
            f"{name}: it happened, and its stored result can't be read: {error}. {_NOT_AGAIN} {_ASK}", **about
        ) from error


def error_of(name: str, answer: Answer, receipt: Receipt | None = None) -> OnceError:
    """Return the exception that tells a problem. ``receipt`` is the one in doubt, for its evidence."""
    problem = answer.problem
    assert problem is not None
    about: dict[str, Any] = {
        "name": name,
        "request_id": str(answer.request_id),
        "attempt": problem.attempt,
        "executed": answer.executed,
    }
    extra = dict(problem.extra)
    match problem.type:
        case ProblemType.IN_PROGRESS:
            return InProgress(
                f"{name}: another copy of this call is still at work ({answer.request_id}). {_SAFE}", **about
            )
        case ProblemType.OUTCOME_UNKNOWN:
            return _unknown(name, answer, receipt, about)
        case ProblemType.KEY_REUSED:
            return KeyReused(
                f"{name}: this key was first used with other arguments ({answer.request_id}). Nothing was "
                "called. Call it with the first arguments, or with a new key.",
                **about,
            )
        case ProblemType.BODY_NOT_KEPT:
            raised = any(value == EXCEPTION for _, value in extra["upstream_headers"])
            what = "it ended with a final exception that" if raised else "it happened, and its result"
            return ResultNotKept(
                f"{name}: {what} could not be kept: it was over limits.receipt_body, or has no form in its "
                f"codec ({answer.request_id}). {_NOT_AGAIN} {_ASK}",
                **about,
            )
        case ProblemType.UNREADABLE:
            return ResultUnreadable(
                f"{name}: it happened, and its receipt can't be decrypted: a key is missing in "
                f"encryption.keys ({answer.request_id}). {_NOT_AGAIN} {_ASK}",
                **about,
            )
        case ProblemType.RECEIPT_EXPIRED:
            return ReceiptExpired(
                f"{name}: it happened, and its receipt has expired ({answer.request_id}). {_NOT_AGAIN} "
                f"{_ASK}",
                **about,
            )
        case ProblemType.OVERLOADED:
            return Overloaded(
                f"{name}: as many calls as may be are under way (limits.{extra.get('limit')}). Nothing was "
                f"called. {_SAFE}",
                **about,
            )
        case ProblemType.SHUTTING_DOWN:
            return GuardClosed(_closed(name, answer), **about)
        case _:
            return StoreUnavailable(_away(name, answer), **about)


def _unknown(name: str, answer: Answer, receipt: Receipt | None, about: dict[str, Any]) -> OutcomeUnknown:
    evidence = evidence_of(receipt) if receipt is not None else "it did not come to its end"
    return OutcomeUnknown(
        f"{name}: whether this call took effect is not known. Attempt {about['attempt']}, "
        f"{round(answer.age)} s ago: {evidence}. {_NOT_AGAIN} Look where the effect would be whether it "
        f"happened; `onceproxy receipts show {answer.request_id}` shows the evidence, and how to settle it.",
        **about,
        evidence=evidence,
        age=answer.age,
    )


def evidence_of(receipt: Receipt) -> str:
    """Say what is known of an attempt in doubt."""
    told = receipt.detail if receipt.failure == Failure.RAISED else ""
    return told or _WITHOUT_WORDS.get(receipt.failure) or receipt.detail or str(receipt.failure)


def _closed(name: str, answer: Answer) -> str:
    if answer.executed:
        return (
            f"{name}: the guard was closed while it ran, so its receipt is in doubt ({answer.request_id}), "
            "though it has ended by now."
        )
    return f"{name}: the guard is closed. Nothing was called."


def _away(name: str, answer: Answer) -> str:
    if answer.executed:
        return (
            f"{name}: it was called and has ended, but its receipt could not be stored yet; this goes on "
            f"({answer.request_id}). {_SAFE}"
        )
    problem = answer.problem
    if problem is not None and ("failure", Failure.LEASE_LOST) in problem.extra:
        why = "this process was silent for too long, and has to be believed alive again"
    else:
        detail = problem.detail if problem is not None else ""
        why = detail.partition("(")[2].rpartition(")")[0] or detail
    return f"{name}: the database of receipts can't be used now ({why}). Nothing was called. {_SAFE}"
