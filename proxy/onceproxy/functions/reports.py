"""What a caller reports of its call, as the guard stores it: evidence, and the result as bytes."""

from __future__ import annotations

import hashlib
from typing import Any

import structlog

from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.messages import Body, BodyNotKept, BytesBody, Response
from onceproxy.functions.codecs import Codec, NotEncodable
from onceproxy.functions.raising import EXCEPTION, Meaning, in_words, stored_form

log = structlog.get_logger("onceproxy.functions")

RETURNED = 200
RAISED = 422  # of a final exception: the call was understood, and its answer is no


def returned(name: str, value: Any, codec: Codec[Any]) -> Attempt:
    """Return the report of a call that returned. A result that can't be encoded is not kept; it happened."""
    return _answered(response_of(name, value, codec))


def response_of(name: str, value: Any, codec: Codec[Any]) -> Response:
    """Return a result as a response."""
    try:
        body: Body = BytesBody(codec.encode(value))
    except Exception as error:  # noqa: BLE001 (a codec is anybody's; the effect must not be forgotten for it)
        body = _not_kept(name, error)
    return Response(RETURNED, b"Returned", ((b"content-type", codec.content_type.encode("latin-1")),), body)


def raised(name: str, error: BaseException, meaning: Meaning) -> Attempt:
    """Return the report of a call that raised."""
    words = in_words(error)
    if meaning is Meaning.NOTHING_HAPPENED:
        return Attempt(WirePhase.SENT_NOTHING, failure=Failure.RAISED, detail=words)
    if meaning is Meaning.UNKNOWN:
        return Attempt(WirePhase.SENDING, failure=Failure.RAISED, detail=words)
    try:
        body: Body = BytesBody(stored_form(error))
    except NotEncodable as why:
        body = _not_kept(name, why)
    return _answered(Response(RAISED, b"Raised", ((b"content-type", EXCEPTION.encode()),), body), words)


def unsaid(name: str) -> Attempt:
    """Return the report of a block that ended without saying what came of it."""
    return Attempt(
        WirePhase.SENDING, failure=Failure.RAISED, detail=f"the block of {name} ended without a result"
    )


def _answered(response: Response, words: str = "") -> Attempt:
    return Attempt(WirePhase.BODY_RECEIVED, response, status=response.status, detail=words)


def _not_kept(name: str, error: Exception) -> BodyNotKept:
    # Only what the error is of: its text may quote the result.
    hint = str(error) if isinstance(error, NotEncodable) else "its codec failed"
    log.warning("result-not-kept", name=name, error=type(error).__name__, hint=hint)
    return BodyNotKept(0, hashlib.sha256(b"").digest())
