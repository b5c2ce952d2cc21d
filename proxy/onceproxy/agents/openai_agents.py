"""Tools for the OpenAI Agents SDK."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Unpack

from agents import FunctionTool, function_tool
from agents.tool_context import ToolContext

from onceproxy.agents.calling import By, Tool, scope_of, with_parameters
from onceproxy.functions.guard import Guard
from onceproxy.functions.terms import Treatment

_CONTEXT = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=ToolContext[Any])


def once_tool(
    *,
    scope: str | Callable[[Any], str],
    by: By = "arguments",
    guard: Guard | None = None,
    name: str | None = None,
    raises: bool = False,
    **treatment: Unpack[Treatment],
) -> Callable[[Callable[..., Any]], FunctionTool]:
    """Return a decorator that makes a tool of a function, async or not, as ``agents.function_tool`` does.

    Args:
        scope: whose calls these are: a text, or a function of the context that ``Runner.run`` was given, such
            as the id of its session.
        by: ``"arguments"``: a call is known by what it is called with: a program that runs again after a
            crash asks the model anew, and its call has another id. ``"call"``: by that id; for runs that are
            resumed from a state.
        guard: where receipts are kept; None: the default guard.
        name: what is done, in receipts; None: ``tool.`` and the function's name.
        raises: raise ``OnceError``, which the SDK tells the model with "try again", in place of telling it.
        treatment: see ``Treatment``.
    """

    def decorate(function: Callable[..., Any]) -> FunctionTool:
        once = Tool(function, by, guard, name, raises, treatment)

        def bound(args: tuple[Any, ...], arguments: dict[str, Any]) -> dict[str, Any]:
            return dict(inspect.signature(function).bind(*args, **arguments).arguments)

        if once.is_async:

            async def run_async(context: ToolContext[Any], *args: Any, **arguments: Any) -> Any:
                whose = scope_of(scope, context.context, None)
                return await once.call(whose, context.tool_call_id, bound(args, arguments))

            return function_tool(with_parameters(run_async, function, _CONTEXT))

        def run(context: ToolContext[Any], *args: Any, **arguments: Any) -> Any:
            whose = scope_of(scope, context.context, None)
            return once.call_sync(whose, context.tool_call_id, bound(args, arguments))

        return function_tool(with_parameters(run, function, _CONTEXT))

    return decorate
