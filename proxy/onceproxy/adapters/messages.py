"""What the adapters have in common: a guarded function whose key is the id of its message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onceproxy.functions.decorating import Decorator, Expression
from onceproxy.functions.default import once as by_default
from onceproxy.functions.guard import Guard


def once_by_message(
    message: Callable[..., Any],
    *,
    key: Expression | None,
    guard: Guard | None,
    asks_again: Sequence[type[BaseException]] = (),
    options: dict[str, Any],
) -> Decorator:
    """Return the decorator of a task.

    Args:
        message: returns the id of the message that is being worked on, or None where there is none; it is
            called with the arguments of the task.
        key: what to take in its place.
        guard: whose receipts; None: the default guard's.
        asks_again: what a task raises to be run again: by its own word nothing has happened yet.
        options: the others of ``onceproxy.once``.
    """
    released = options.pop("released_on", ())
    released = (released,) if isinstance(released, type) else tuple(released)
    decorate = guard.once if guard is not None else by_default
    made: Decorator = decorate(
        key=message if key is None else key, released_on=(*released, *asks_again), **options
    )
    return made
