"""``Onceproxy-Status``: what an answer is, in a structured field (RFC 9651)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import http_sf

from onceproxy.core.receipts import Source
from onceproxy.core.redaction import is_redacted
from onceproxy.guard.answers import Answer


def onceproxy_status(answer: Answer) -> str:
    """Return the value of ``Onceproxy-Status``: a dictionary of RFC 9651 with the one member ``state``.

    Its parameters are ``attempt``, ``age`` in whole seconds, ``reason``, ``source`` of what is not the
    upstream's own answer, and ``redacted`` where members of it are not kept.
    """
    redacted = answer.replayed and answer.response is not None and is_redacted(answer.response)
    return status_of(answer, redacted=redacted)


def status_of(answer: Answer, *, redacted: bool) -> str:
    """Return the same, where it is known whether the response is ``redacted``."""
    nothing = "unguarded" if answer.executed else "refused"
    return _status_text(
        nothing if answer.state is None else answer.state.value,
        answer.attempt,
        int(answer.age) if answer.replayed or answer.age else None,
        None if answer.replayed else answer.reason,
        redacted,
        answer.source,
    )


@lru_cache(maxsize=1024)  # most answers say the same
def _status_text(
    state: str, attempt: int, age: int | None, reason: str | None, redacted: bool, source: Source
) -> str:
    params: dict[str, int | bool | http_sf.Token] = {}
    if attempt:
        params["attempt"] = attempt
    if age is not None:
        params["age"] = age
    if reason is not None:
        params["reason"] = http_sf.Token(reason)
    if redacted:
        params["redacted"] = True
    if source is not Source.UPSTREAM:
        params["source"] = http_sf.Token(source.value)
    member: Any = (http_sf.Token(state), params)
    # Every parser takes a space before a parameter (RFC 9651 §4.2.3.2), and people read it more easily.
    # Tokens and numbers hold no semicolon of their own.
    return http_sf.ser({"state": member}).replace(";", "; ")
