"""The guard of those who make none: ``once`` and ``configure``."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, Unpack, overload

from onceproxy.functions.decorating import Decorator, Expression, P, decorator
from onceproxy.functions.guard import GRACE, Guard
from onceproxy.functions.lifetimes import Home
from onceproxy.functions.terms import Treatment

T = TypeVar("T")

_lock = threading.Lock()
_guard: Guard | None = None
_used = False


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_after_fork)


def configure(
    database: str | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
    scope: str | Sequence[str] = (),
    namespace: str = "",
    grace: float = GRACE,
) -> Guard:
    """Say where the default guard keeps its receipts, and return it; see ``Guard`` for what can be said.

    Without it the default guard goes by the environment (``ONCEPROXY_…``) and ``./onceproxy.yaml``, as the
    commands do. To be called where the program starts.

    Raises:
        RuntimeError: a guarded function was called already: its receipts would be in two places.
    """
    global _guard
    guard = Guard(database, data_dir=data_dir, config=config, scope=scope, namespace=namespace, grace=grace)
    with _lock:
        if _used:
            raise RuntimeError("configure() comes too late: the default guard has been used")
        _guard = guard
    return guard


def default_guard() -> Guard:
    """Return the default guard."""
    global _guard, _used
    with _lock:
        _guard, _used = _guard or Guard(), True
    return _guard


@overload
def once(function: Callable[P, T], /) -> Callable[P, T]: ...


@overload
def once(
    *,
    key: Expression | None = None,
    name: str | None = None,
    scope: Expression | None = None,
    exclude: str | Sequence[str] = (),
    **treatment: Unpack[Treatment],
) -> Decorator: ...


def once(function: Any = None, /, **options: Any) -> Any:
    """Decorate a function, async or not: each call of it happens once, and copies get the stored result.

    A call that is not async blocks its thread. Where an event loop runs in that thread, a copy does not wait
    for another one, which may be a task of that very loop: it gets ``InProgress`` at once.

    Args:
        key: which call this is: a parameter's name, a template such as ``"{order.id}"``, or a function of the
            same arguments. Default: the fingerprint of all arguments. With a key the same arguments must
            come with it, or the call is refused (``KeyReused``).
        name: what is done, part of the identity. Default: the function's module and name, so a function that
            is renamed or moved is another one: name what matters, ``name="billing.charge"``.
        scope: whose call it is, in the forms of ``key``: part of the identity, besides the guard's scope.
        exclude: parameters that do not say what is to be done (clients, sessions, ``self``): not part of the
            fingerprint.
        treatment: see ``Treatment``.

    Raises:
        TypeError, ValueError: when decorating: an option does not fit. When called: an argument can't be told
            from others; exclude it.
        OnceError: when called: there is no result; see there for the kinds.
    """
    decorate = decorator(_home, **options)
    return decorate if function is None else decorate(function)


def _home() -> Home:
    return default_guard().home
