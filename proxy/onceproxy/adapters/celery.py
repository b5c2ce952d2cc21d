"""Celery: a task whose message is delivered again runs once.

That is after a crash with ``acks_late`` and ``reject_on_worker_lost``, or after a visibility timeout.
"""

from __future__ import annotations

from typing import Any

from celery import current_task
from celery.exceptions import Retry

from onceproxy.adapters.messages import once_by_message
from onceproxy.functions.decorating import Decorator, Expression
from onceproxy.functions.guard import Guard


def once(*, key: Expression | None = None, guard: Guard | None = None, **options: Any) -> Decorator:
    """Decorate a task, below the decorator that makes it one: a message that comes again runs once.

    Args:
        key: as for ``onceproxy.once``. Default: the message's id, the same for redeliveries and for retries.
        guard: whose receipts. Default: the default guard's.
        options: the others of ``onceproxy.once``. A task that raises ``Retry``, as by ``self.retry()``, is
            run again.
    """
    return once_by_message(_message_id, key=key, guard=guard, asks_again=(Retry,), options=options)


def _message_id(*args: Any, **kwargs: Any) -> str | None:
    request = current_task.request if current_task else None
    return request.id if request is not None else None
