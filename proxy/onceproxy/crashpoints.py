"""Places where a test may kill or suspend the process, by name; they do nothing otherwise.

``ONCEPROXY_CRASH_AT=request-sent`` kills the process with SIGKILL when it comes there,
``ONCEPROXY_CRASH_AT=request-sent:stop`` suspends it with SIGSTOP, and a number (``request-sent:3``) waits for
the so many-th time. It is read once, at import.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

VARIABLE = "ONCEPROXY_CRASH_AT"
POINTS = (
    "before-claim",
    "after-claim",
    "connected",
    "request-sent",
    "head-received",
    "amid-stream",
    "body-received",
    "before-completion",
    "after-completion",
)


def _nothing(point: str) -> None:
    """Go on."""


def armed(wish: str) -> Callable[[str], None]:
    """Return what ends, or suspends, this process at the wished point.

    Raises:
        ValueError: the wish names no point.
    """
    name, _, how = wish.partition(":")
    if name not in POINTS:
        raise ValueError(f"{VARIABLE}: {name} is none of {', '.join(POINTS)}")
    number = signal.SIGSTOP if how == "stop" else signal.SIGKILL
    left = int(how) if how.isdigit() else 1

    def reach(point: str) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)

    return reach


_wish = os.environ.get(VARIABLE)
reach: Callable[[str], None] = armed(_wish) if _wish else _nothing
