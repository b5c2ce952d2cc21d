"""Tools for Pydantic AI."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Unpack

from pydantic_ai import RunContext
from pydantic_ai import Tool as AgentTool

from onceproxy.agents.calling import By, Tool, scope_of, with_parameters
from onceproxy.functions.guard import Guard
from onceproxy.functions.terms import Treatment

_CONTEXT = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=RunContext[Any])


def once_tool(
    *,
    scope: str | Callable[[RunContext[Any]], str] | None = None,
    by: By = "arguments",
    guard: Guard | None = None,
    name: str | None = None,
    raises: bool = False,
    **treatment: Unpack[Treatment],
) -> Callable[[Callable[..., Any]], AgentTool[Any]]:
    """Return a decorator that makes a ``Tool`` of a function, async or not, for ``Agent(tools=[…])``.

    Args:
        scope: whose calls these are: a text, or a function of the ``RunContext``. None: the conversation's
            id, which a run keeps that is given the messages of an earlier one.
        by: ``"arguments"``: a call is known by what it is called with. ``"call"``: by the id that the model
            gave it.
        guard: where receipts are kept; None: the default guard.
        name: what is done, in receipts; None: ``tool.`` and the function's name.
        raises: raise ``OnceError``, which ends the run, in place of telling the model.
        treatment: see ``Treatment``.
    """

    def decorate(function: Callable[..., Any]) -> AgentTool[Any]:
        once = Tool(function, by, guard, name, raises, treatment)

        def whose(ctx: RunContext[Any]) -> str:
            return scope_of(scope, ctx, ctx.conversation_id)

        if once.is_async:

            async def run_async(ctx: RunContext[Any], **arguments: Any) -> Any:
                return await once.call(whose(ctx), ctx.tool_call_id or "", arguments)

            return AgentTool(with_parameters(run_async, function, _CONTEXT), takes_ctx=True)

        def run(ctx: RunContext[Any], **arguments: Any) -> Any:
            return once.call_sync(whose(ctx), ctx.tool_call_id or "", arguments)

        return AgentTool(with_parameters(run, function, _CONTEXT), takes_ctx=True)

    return decorate
