"""taskiq: a task whose message is delivered again runs once. The broker needs ``CurrentMessage()``."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from taskiq import TaskiqMessage, TaskiqMiddleware

from onceproxy.adapters.messages import once_by_message
from onceproxy.functions.decorating import Decorator, Expression
from onceproxy.functions.guard import Guard


def once(*, key: Expression | None = None, guard: Guard | None = None, **options: Any) -> Decorator:
    """Decorate a task, below the decorator that makes it one: a message that comes again runs once.

    Args:
        key: as for ``onceproxy.once``. Default: the message's id, the same for redeliveries and for retries.
        guard: whose receipts. Default: the default guard's.
        options: the others of ``onceproxy.once``.
    """
    return once_by_message(_message_id, key=key, guard=guard, asks_again=(), options=options)


_current: ContextVar[str | None] = ContextVar("onceproxy_taskiq", default=None)


class CurrentMessage(TaskiqMiddleware):  # type: ignore[misc]  # its types are not read
    """Tells tasks which message they are for: ``broker.add_middlewares(CurrentMessage())``."""

    async def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """Note the message; each one is worked on in a context of its own."""
        _current.set(message.task_id)
        return message


def _message_id(*args: Any, **kwargs: Any) -> str | None:
    return _current.get()
