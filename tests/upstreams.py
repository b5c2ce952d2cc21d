"""The upstream of the tests is the one that users of onceproxy get for theirs."""

from __future__ import annotations

from onceproxy.testing.upstream import (
    PATIENCE,
    Behaviour,
    Conversation,
    Door,
    Headers,
    Seen,
    Upstream,
    after,
    answer,
    close,
    closing,
    door,
    hang,
    raw,
    reset,
)

__all__ = [
    "PATIENCE",
    "Behaviour",
    "Conversation",
    "Door",
    "Headers",
    "Seen",
    "Upstream",
    "after",
    "answer",
    "close",
    "closing",
    "door",
    "hang",
    "raw",
    "reset",
]
