"""The audit trail as steps for people: copies that were answered one after another are one step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from onceproxy.core.states import State
from onceproxy.store.catalogue import EventRow

_MANY = re.compile(r"(\d{1,9}) copies", re.ASCII)
_COPIES = frozenset({"replayed", "observed"})
_OTHERS = frozenset({"confirmed", "refuted", "purged"})
_TIME = frozenset({"expired", "forgotten"})


class Actor(StrEnum):
    """Who did it: each has a line of the picture."""

    ATTEMPT = "attempt"
    COPIES = "copies"
    OTHERS = "others"  # a person or a probe
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened, or ``count`` of the same in a row. ``number`` counts from 1."""

    number: int
    event: EventRow
    last: datetime
    count: int = 1

    @property
    def state(self) -> State:
        """The receipt's state afterwards."""
        return self.event.state

    @property
    def actor(self) -> Actor:
        """Who did it."""
        kind = self.event.kind
        if kind in _COPIES:
            return Actor.COPIES
        if kind in _OTHERS:
            return Actor.OTHERS
        return Actor.TIME if kind in _TIME else Actor.ATTEMPT


def steps(events: Sequence[EventRow]) -> tuple[Step, ...]:
    """Return the steps of an audit trail, oldest first as its events are."""
    found: list[Step] = []
    for event in events:
        before = found[-1] if found else None
        if before is not None and _is_more_of(before.event, event):
            found[-1] = replace(before, last=event.at, count=before.count + _copies(event))
        else:
            found.append(Step(len(found) + 1, event, event.at, _copies(event)))
    return tuple(found)


def _copies(event: EventRow) -> int:
    """Return how many copies an entry is about: replays within a moment share one."""
    many = _MANY.fullmatch(event.reason or "") if event.kind == "replayed" else None
    return int(many[1]) if many is not None else 1


def _is_more_of(before: EventRow, event: EventRow) -> bool:
    def what(one: EventRow) -> tuple[object, ...]:
        return one.kind, one.attempt, one.state, None if one.kind == "replayed" else one.reason, one.detail

    return event.kind in _COPIES and what(before) == what(event)
