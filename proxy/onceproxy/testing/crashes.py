"""Crashes on purpose: which process dies, and where."""

from __future__ import annotations

from dataclasses import dataclass

from onceproxy.crashpoints import POINTS as INNER
from onceproxy.crashpoints import VARIABLE

POINTS = {
    "before_claim": "before-claim",
    "after_claim": "after-claim",
    "connected": "connected",
    "after_send": "request-sent",
    "after_head": "head-received",
    "amid_stream": "amid-stream",
    "after_body": "body-received",
    "before_completion": "before-completion",
    "after_completion": "after-completion",
}
"""The points by name, in the order in which an attempt comes to them.

``after_send`` is the worst one: the API has the whole request, and nobody has its answer. A function's effect
lies between ``after_claim`` and ``before_completion``.
"""


@dataclass(frozen=True, slots=True)
class Crash:
    """Where a process shall die, or stop. ``environment`` is what it has to be started with."""

    wish: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a process that has them crash there."""
        return {VARIABLE: self.wish}


def crash_at(point: str, *, times: int = 1, suspend: bool = False) -> Crash:
    """Return a crash to start a process with: a proxy, or your own program that uses ``Guard`` or ``once``.

    Args:
        point: one of ``POINTS``, or as ``onceproxy.crashpoints`` spells it.
        times: how often the process comes there before it dies, from 1.
        suspend: stop it (SIGSTOP) in place of killing it (SIGKILL): its lease runs out while it still lives.

    Raises:
        ValueError: there is no such point, or a suspension that counts.
    """
    name = POINTS.get(point, point)
    if name not in INNER:
        raise ValueError(f"{point!r} is no crash point; there are {', '.join(POINTS)}")
    if times < 1 or (suspend and times > 1):
        raise ValueError("times is 1 or more, and 1 with suspend")
    return Crash(f"{name}:stop" if suspend else f"{name}:{times}")
