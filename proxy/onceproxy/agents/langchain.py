"""Tools for LangChain and LangGraph. A graph that is resumed from a checkpoint runs its last step again."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Unpack

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId, tool

from onceproxy.agents.calling import By, Tool, scope_of, with_parameters
from onceproxy.functions.guard import Guard
from onceproxy.functions.terms import Treatment

_CALL = inspect.Parameter(
    "tool_call_id", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, InjectedToolCallId]
)
_CONFIG = inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, annotation=RunnableConfig)


def once_tool(
    *,
    by: By = "call",
    scope: str | Callable[[RunnableConfig], str] | None = None,
    guard: Guard | None = None,
    name: str | None = None,
    raises: bool = False,
    **treatment: Unpack[Treatment],
) -> Callable[[Callable[..., Any]], BaseTool]:
    """Return a decorator that makes a tool of a function, async or not, as LangChain's ``tool`` does.

    Args:
        by: ``"call"``: a call is known by the id that the model gave it, which a checkpoint keeps.
            ``"arguments"``: by what it is called with; for agents that ask the model anew after a crash.
        scope: whose calls these are: a text, or a function of the config. None: the ``thread_id``.
        guard: where receipts are kept; None: the default guard.
        name: what is done, in receipts; None: ``tool.`` and the function's name.
        raises: raise ``OnceError`` in place of telling the model.
        treatment: see ``Treatment``.
    """

    def decorate(function: Callable[..., Any]) -> BaseTool:
        once = Tool(function, by, guard, name, raises, treatment)

        def whose(config: RunnableConfig) -> str:
            return scope_of(scope, config, config.get("configurable", {}).get("thread_id"))

        if once.is_async:

            async def run_async(*, tool_call_id: str, config: RunnableConfig, **arguments: Any) -> Any:
                return await once.call(whose(config), tool_call_id, arguments)

            return tool(with_parameters(run_async, function, _CALL, _CONFIG))

        def run(*, tool_call_id: str, config: RunnableConfig, **arguments: Any) -> Any:
            return once.call_sync(whose(config), tool_call_id, arguments)

        return tool(with_parameters(run, function, _CALL, _CONFIG))

    return decorate
