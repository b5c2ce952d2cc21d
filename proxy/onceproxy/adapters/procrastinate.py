"""procrastinate: a job that is run again (a stalled one that was retried, a retry) runs once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from procrastinate import JobContext

from onceproxy.adapters.messages import once_by_message
from onceproxy.functions.decorating import Decorator, Expression
from onceproxy.functions.guard import Guard

P = ParamSpec("P")
T = TypeVar("T")


def once(*, key: Expression | None = None, guard: Guard | None = None, **options: Any) -> Decorator:
    """Decorate a task, below ``@app.task(pass_context=True)``: a job that comes again runs once.

    Args:
        key: as for ``onceproxy.once``. Default: the job's id. Ids begin at 1 in each database of jobs: give
            a ``Guard(namespace=…)`` where two of them share receipts, or one is made anew.
        guard: whose receipts. Default: the default guard's.
        options: the others of ``onceproxy.once``. The task's first parameter, its context, is no part of
            what is asked for.
    """

    def decorate(function: Callable[P, T], /) -> Callable[P, T]:
        context = next(iter(inspect.signature(function).parameters))
        exclude = options.get("exclude", ())
        exclude = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        own = {**options, "exclude": (context, *exclude)}
        return once_by_message(_job_id, key=key, guard=guard, options=own)(function)

    return decorate


def _job_id(context: JobContext, *args: Any, **kwargs: Any) -> int | None:
    job: int | None = context.job.id
    return job
