"""Tools for MCP servers. A client that lost an answer calls again, perhaps in another session."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Unpack

from onceproxy.agents.calling import Tool
from onceproxy.functions.guard import Guard
from onceproxy.functions.terms import Treatment


def once_tool(
    *,
    scope: str = "",
    guard: Guard | None = None,
    name: str | None = None,
    raises: bool = False,
    **treatment: Unpack[Treatment],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator for a function, async or not, that ``server.tool()`` or ``server.add_tool`` takes.

    A call is known by its arguments, for the protocol has nothing else that is the same in a retry: what may
    be wanted twice needs an argument that says so, such as the number of an order.

    Args:
        scope: whose calls these are, where one server has several kinds of callers.
        guard: where receipts are kept; None: the default guard.
        name: what is done, in receipts; None: ``tool.`` and the function's name.
        raises: raise ``OnceError`` in place of telling the model.
        treatment: see ``Treatment``.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        once = Tool(function, "arguments", guard, name, raises, treatment)
        signature = inspect.signature(function)

        def asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return dict(bound.arguments)

        if once.is_async:

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                return await once.call(scope, "", asked(args, kwargs))

            return run_async

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            return once.call_sync(scope, "", asked(args, kwargs))

        return run

    return decorate
