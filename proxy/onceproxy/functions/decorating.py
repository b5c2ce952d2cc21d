"""``@once``: what is found out about a function once, and what is made of each of its calls."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from onceproxy.functions.actions import run_once
from onceproxy.functions.arguments import bound_arguments, fingerprint
from onceproxy.functions.background import awaiting, blocking, run_blocking
from onceproxy.functions.codecs import Codec, UnreadableHint, codec_by_hint, codec_of
from onceproxy.functions.identity import action_of
from onceproxy.functions.keys import KeyValue, reader
from onceproxy.functions.lifetimes import Home
from onceproxy.functions.terms import Treatment, read_terms
from onceproxy.functions.turns import Asked, Turn

P = ParamSpec("P")
T = TypeVar("T")

Expression = str | Callable[..., KeyValue]


class Decorator(Protocol):
    """Makes a guarded function of a function; it keeps its signature, async or not."""

    def __call__(self, function: Callable[P, T], /) -> Callable[P, T]:
        """Return the guarded function."""
        ...


def decorator(
    home: Callable[[], Home],
    *,
    key: Expression | None = None,
    name: str | None = None,
    scope: Expression | None = None,
    exclude: str | Sequence[str] = (),
    **treatment: Any,
) -> Decorator:
    """Return the decorator that ``once`` describes. ``home`` is asked at each call."""
    given: Treatment = treatment  # type: ignore[assignment]  # read_terms looks at its names

    def decorate(function: Callable[P, T], /) -> Callable[P, T]:
        recipe = Recipe(function, key=key, name=name, scope=scope, exclude=exclude, treatment=given)
        return recipe.guarded(home)

    return decorate


class Recipe:
    """A function's name, signature, key and terms: what makes a guarded call of arguments."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        key: Expression | None,
        name: str | None,
        scope: Expression | None,
        exclude: str | Sequence[str],
        treatment: Treatment,
    ) -> None:
        _check(function)
        self._function = function
        self._name = name if name is not None else _name_of(function)
        if not self._name:
            raise ValueError("name is empty")
        self._signature = inspect.signature(function)
        self._terms = read_terms(treatment)
        self._key = reader(key, self._signature, "key") if key is not None else None
        self._scope = reader(scope, self._signature, "scope") if scope is not None else None
        self._exclude = {exclude} if isinstance(exclude, str) else set(exclude)
        for parameter in self._exclude - self._signature.parameters.keys():
            raise ValueError(f"exclude: {self._name} has no parameter {parameter!r}")
        self._codec: Codec[Any] | None = None
        if self._terms.returns is not None:
            self._codec = codec_of(self._terms.returns)
        else:
            with suppress(UnreadableHint):  # the names of a class further down come later
                self._codec = codec_by_hint(function)

    def guarded(self, home: Callable[[], Home]) -> Callable[..., Any]:
        """Return the guarded function."""
        function = self._function
        if _is_async(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                here = home()
                asked = self.asked(here, args, kwargs)
                call = functools.partial(function, *args, **kwargs)
                return await run_once(Turn(here.lifetime.opened(), asked, awaiting), call)

            return run_async

        @functools.wraps(function)
        def run_sync(*args: Any, **kwargs: Any) -> Any:
            here = home()
            asked = self.asked(here, args, kwargs)

            async def call() -> Any:
                return self._plain(function(*args, **kwargs))

            return run_blocking(run_once(Turn(here.lifetime.opened(), asked, blocking), call))

        return run_sync

    def asked(self, home: Home, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked[Any]:
        """Return what is asked for by a call.

        Raises:
            TypeError: the function does not take these arguments, or one of them has no stable form.
            BadKey: there is no key in them.
        """
        arguments = bound_arguments(self._signature, args, kwargs)
        told = {name: value for name, value in arguments.items() if name not in self._exclude}
        key = self._key(arguments, args, kwargs) if self._key is not None else None
        scope = (self._scope(arguments, args, kwargs),) if self._scope is not None else ()
        if self._codec is None:
            self._codec = codec_by_hint(self._function)
        action = action_of(
            self._name,
            key=key,
            fingerprint=fingerprint(self._name, told),
            scope=(*home.scope, *scope),
            namespace=home.namespace,
            policy=self._terms.policy,
            show_key=self._terms.show_key,
        )
        terms = self._terms
        return Asked(self._name, action, self._codec, terms.declared, terms.probe, arguments)

    def _plain(self, value: Any) -> Any:
        """Return a result; one that is yet to be awaited is none."""
        if inspect.iscoroutine(value):
            value.close()
            raise TypeError(
                f"{self._name} returned a coroutine: define it with `async def` to have it awaited"
            )
        return value


def _is_async(function: Any) -> bool:
    """Say whether calling it gives something to await: also an object whose ``__call__`` is async."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 (not whether it can be called, but how)
    )


def _check(function: Any) -> None:
    if isinstance(function, staticmethod | classmethod | property):
        raise TypeError(f"put once below @{type(function).__name__}, next to the function")
    if not callable(function) or isinstance(function, type):
        raise TypeError("once decorates functions")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__qualname__} is a generator: what it yields can't be taken back, so it can't be "
            "replayed. Guard a function that returns"
        )


def _name_of(function: Any) -> str:
    """Return a function's own name. What would be another one in another process, or two's, is none."""
    qualname: str = getattr(function, "__qualname__", "")
    if not qualname or "<" in qualname:
        raise TypeError(
            f"{qualname or function!r} has no name that tells it from others: give it one, as in "
            "name='billing.charge'"
        )
    module = function.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        file = getattr(main, "__file__", None)
        module = spec.name if spec is not None else Path(file).stem if file else module
    return f"{module}.{qualname}"
