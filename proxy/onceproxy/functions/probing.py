"""Settling a doubt by asking: what a probe is given, and what it can say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Doubt:
    """An earlier attempt of a call that nobody knows the outcome of.

    ``request_id`` and ``attempt`` are what the function could read of ``current_action()`` then.
    ``arguments`` are those of the copy that asks, by parameter. ``evidence`` is what is known, in words, and
    ``age`` the seconds for which it has been in doubt.
    """

    name: str
    request_id: str
    attempt: int
    evidence: str
    age: float
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """It happened, and ``result`` is what the function would have returned: copies get it from now on."""

    result: Any = None


@dataclass(frozen=True, slots=True)
class NotFound:
    """It did not happen, and it can't happen any more: the call is made now."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """The probe can't tell, and ``why``: the copy gets ``OutcomeUnknown``."""

    why: str = "it could not tell"


Verdict = Found | NotFound | Unclear


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask whether a call in doubt happened: ``in_doubt=Probe(find_payment, settle=60)``.

    ``ask`` is called with the ``Doubt``, in the place of the function, and returns ``Found``, ``NotFound`` or
    ``Unclear``. It must have no effect of its own; what it raises is ``Unclear``. For an async function it
    may be async. ``settle`` is seconds (0 or more) for which the doubt must have stood before ``NotFound`` is
    believed: as long as an effect that was on its way may take to show.
    """

    ask: Callable[[Doubt], Verdict | Awaitable[Verdict]]
    settle: float = 0.0

    def __post_init__(self) -> None:
        if not callable(self.ask):
            raise TypeError("a probe asks a function: Probe(find_payment)")
        if self.settle < 0:
            raise ValueError("settle is seconds, 0 or more")
