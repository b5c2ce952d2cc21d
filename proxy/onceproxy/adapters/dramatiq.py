"""Dramatiq: an actor whose message is delivered again runs once.

The broker needs Dramatiq's own ``CurrentMessage`` middleware.
"""

from __future__ import annotations

from typing import Any

from dramatiq.errors import Retry
from dramatiq.middleware import CurrentMessage

from onceproxy.adapters.messages import once_by_message
from onceproxy.functions.decorating import Decorator, Expression
from onceproxy.functions.guard import Guard


def once(*, key: Expression | None = None, guard: Guard | None = None, **options: Any) -> Decorator:
    """Decorate a task, below the decorator that makes it one: a message that comes again runs once.

    Args:
        key: as for ``onceproxy.once``. Default: the message's id, the same for redeliveries and for retries.
        guard: whose receipts. Default: the default guard's.
        options: the others of ``onceproxy.once``. An actor that raises ``Retry`` is run again.
    """
    return once_by_message(_message_id, key=key, guard=guard, asks_again=(Retry,), options=options)


def _message_id(*args: Any, **kwargs: Any) -> str | None:
    message = CurrentMessage.get_current_message()
    return message.message_id if message is not None else None
