"""What a test wants to know: did it happen once?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from onceproxy.testing.effects import Effects
from onceproxy.testing.upstream import READS, Seen


class Counted(Protocol):
    """An upstream, of either kind."""

    @property
    def requests(self) -> Sequence[Seen]:
        """What has arrived so far."""
        ...


def assert_once(counted: Counted | Effects, method: str | None = None, target: str | None = None) -> None:
    """Assert that there was exactly one execution.

    Args:
        counted: an upstream, or effects.
        method: count only these; of effects, what happened. None: all but reads.
        target: count only requests for this path, with its query.

    Raises:
        AssertionError: there was none, or several; the text lists what there was.
    """
    found = _found(counted, method, target)
    if sum(found.values()) != 1:
        raise AssertionError(f"executed {sum(found.values())} times, and not once: {_told(found, counted)}")


def assert_at_most_once(counted: Counted | Effects) -> None:
    """Assert that nothing was executed twice: what must hold after any crash whatsoever.

    Two requests are the same if they have the same method, target, ``Idempotency-Key`` and body.

    Raises:
        AssertionError: something was; the text names it.
    """
    twice = {what: count for what, count in _found(counted, None, None).items() if count > 1}
    if twice:
        raise AssertionError(f"executed more than once: {_told(Counter(twice), counted)}")


def _found(counted: Counted | Effects, method: str | None, target: str | None) -> Counter[str]:
    if isinstance(counted, Effects):
        return Counter({what: n for what, n in counted.counts.items() if method in (None, what)})
    return Counter(
        _described(seen)
        for seen in counted.requests
        if (seen.method not in READS if method is None else seen.method == method)
        and target in (None, seen.target)
    )


def _described(seen: Seen) -> str:
    key = "".join(f" with the key {value}" for value in seen.all("Idempotency-Key"))
    return f"{seen.method} {seen.target}{key} {seen.body!r}"


def _told(found: Counter[str], counted: Counted | Effects) -> str:
    if found:
        return "; ".join(f"{count} × {what}" for what, count in found.items())
    others = _found(counted, None, None)
    return f"nothing of the kind arrived, but {_told(others, counted)}" if others else "nothing arrived"
