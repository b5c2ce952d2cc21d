"""A tool's call as a guarded call: what makes two of them the same, and what a model is told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

from onceproxy.functions.arguments import fingerprint
from onceproxy.functions.default import default_guard
from onceproxy.functions.errors import OnceError, OutcomeUnknown
from onceproxy.functions.guard import Guard
from onceproxy.functions.terms import Treatment

By = Literal["call", "arguments"]
"""What makes two calls the same besides the tool and the scope: the id of the call, or its arguments."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that is to be a tool.

    ``guard`` None: the default one. ``raises``: what onceproxy has to say of a call is raised; otherwise the
    model gets it as the tool's result, as most frameworks answer an exception with "try again".
    """

    function: Callable[..., Any]
    by: By
    guard: Guard | None = None
    name: str | None = None
    raises: bool = False
    treatment: Treatment | None = None

    @property
    def is_async(self) -> bool:
        """Whether the function has to be awaited."""
        return inspect.iscoroutinefunction(self.function)

    async def call(self, scope: str, call_id: str, arguments: Mapping[str, Any], *first: Any) -> Any:
        """Call an async function once. ``first`` are arguments that are no part of what is asked for."""

        async def run() -> Any:
            return await self.function(*first, **arguments)

        try:
            return await self._guard.execute(
                *self._what(call_id, arguments), run, **self._how(scope, arguments)
            )
        except OnceError as error:
            return self._told(error)

    def call_sync(self, scope: str, call_id: str, arguments: Mapping[str, Any], *first: Any) -> Any:
        """Call a function once, as ``call`` does."""

        def run() -> Any:
            return self.function(*first, **arguments)

        try:
            return self._guard.execute_sync(
                *self._what(call_id, arguments), run, **self._how(scope, arguments)
            )
        except OnceError as error:
            return self._told(error)

    @property
    def _guard(self) -> Guard:
        return self.guard or default_guard()

    def _what(self, call_id: str, arguments: Mapping[str, Any]) -> tuple[str, Any]:
        name = self.name or f"tool.{self.function.__name__}"
        return name, call_id if self.by == "call" else fingerprint(name, arguments).hex()

    def _how(self, scope: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        treatment = {"returns": get_type_hints(self.function).get("return", Any), **(self.treatment or {})}
        return {"payload": dict(arguments), "scope": scope, **treatment}

    def _told(self, error: OnceError) -> str:
        if self.raises:
            raise error
        advice = " Do not call this tool for it again." if isinstance(error, OutcomeUnknown) else ""
        return f"{type(error).__name__}: {error}{advice}"


def with_parameters(
    function: Callable[..., Any], like: Callable[..., Any], *added: inspect.Parameter
) -> Callable[..., Any]:
    """Give a function the name, the words and the parameters of another one, and some more of them.

    Frameworks read these to tell a model what there is, and what they themselves have to fill in.
    """
    signature = inspect.signature(like)
    hints = get_type_hints(like, include_extras=True)
    own = [
        one.replace(annotation=hints.get(one.name, one.annotation)) for one in signature.parameters.values()
    ]
    before = [one for one in added if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    behind = [one for one in added if one.kind is inspect.Parameter.KEYWORD_ONLY]
    given: Any = function
    given.__name__, given.__qualname__, given.__doc__ = like.__name__, like.__qualname__, like.__doc__
    given.__module__ = like.__module__
    given.__signature__ = signature.replace(parameters=[*before, *own, *behind])
    given.__annotations__ = {**{one.name: one.annotation for one in added}, **hints}
    return function


def scope_of(scope: str | Callable[[Any], str] | None, context: Any, otherwise: str | None) -> str:
    """Return whose call it is.

    Raises:
        ValueError: nobody says so, and calls of all conversations would be one.
    """
    found = scope(context) if callable(scope) else scope or otherwise
    if not found:
        raise ValueError(
            "whose calls are these? Give scope= a text, or a function of the context: without it, "
            "the same call in another conversation would be taken for a copy"
        )
    return found
