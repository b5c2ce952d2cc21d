"""Audit trails for tests of what is shown of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from onceproxy.core.states import State
from onceproxy.store.catalogue import EventRow

BEGIN = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


def an_event(
    kind: str,
    state: State,
    seconds: float = 0.0,
    attempt: int = 1,
    reason: str | None = None,
    detail: str = "",
) -> EventRow:
    """An entry, so many seconds after the first."""
    at = BEGIN + timedelta(seconds=seconds)
    return EventRow(uuid4(), at, kind, attempt, None, state, None, reason, detail)


def lost_and_resolved() -> list[EventRow]:
    """The usual story: an answer is lost, a copy was refused, a person looks, copies are answered."""
    return [
        an_event("claimed", State.CLAIMED),
        an_event("in_doubt", State.IN_DOUBT, 0.2, reason="connection-lost"),
        an_event("confirmed", State.COMPLETED, 3600, reason="operator", detail="Ada: order 7 is there"),
        an_event("replayed", State.COMPLETED, 3601),
        an_event("replayed", State.COMPLETED, 3602, reason="3 copies"),
    ]
