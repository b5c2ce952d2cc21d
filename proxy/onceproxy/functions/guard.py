"""``Guard``: the library's face."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, Unpack, overload

from onceproxy.functions.actions import GuardedAction, run_once
from onceproxy.functions.arguments import fingerprint
from onceproxy.functions.background import awaiting, blocking, run_blocking
from onceproxy.functions.codecs import codec_of
from onceproxy.functions.decorating import Decorator, Expression, P, decorator
from onceproxy.functions.identity import action_of
from onceproxy.functions.keys import KeyValue, key_text
from onceproxy.functions.lifetimes import Home, Lifetime
from onceproxy.functions.opening import Place
from onceproxy.functions.terms import Treatment, read_terms
from onceproxy.functions.turns import Asked

T = TypeVar("T")

GRACE = 30.0  # seconds that calls have to end in when a guard closes


class Guard:
    """Makes calls of functions happen once: a durable claim, one call, a durable receipt, replays.

    Receipts are those of the proxy, in the same database: ``onceproxy receipts`` and the admin page show
    both.

    Made without any I/O. It opens with ``with`` or ``async with``, or by itself at its first call; then it is
    closed when the program ends. Its work is done in a thread of its own with an event loop of its own, so
    one guard serves async code in any loop, plain threads, and scripts. A forked child opens it anew when it
    first needs it, and does not touch what is its parent's.
    """

    def __init__(
        self,
        database: str | None = None,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        config: str | os.PathLike[str] | None = None,
        scope: str | Sequence[str] = (),
        namespace: str = "",
        grace: float = GRACE,
    ) -> None:
        """Say where receipts are kept. The rest comes from the environment, the file, or the default.

        Args:
            database: ``embedded``, or ``postgresql://…``, as ``--database`` of the commands.
            data_dir: as ``--data-dir``: where the embedded database and the spool live.
            config: as ``--config``: a configuration file, for limits and encryption.
            scope: whose calls these are; part of each call's identity, so that tenants never meet.
            namespace: sets names apart that are the same in two programs.
            grace: seconds (0 or more) that calls under way have to end in when the guard closes.
        """
        place = Place(
            Path(config) if config is not None else None,
            {"database": database, "data_dir": os.fspath(data_dir) if data_dir is not None else None},
        )
        scopes = (scope,) if isinstance(scope, str) else tuple(scope)
        self.home = Home(Lifetime(place, grace), scopes, namespace)

    # Ways to guard a call.

    @overload
    def once(self, function: Callable[P, T], /) -> Callable[P, T]: ...

    @overload
    def once(
        self,
        *,
        key: Expression | None = None,
        name: str | None = None,
        scope: Expression | None = None,
        exclude: str | Sequence[str] = (),
        **treatment: Unpack[Treatment],
    ) -> Decorator: ...

    def once(self, *function: Any, **options: Any) -> Any:
        """Decorate a function, async or not: each call of it happens once. See ``onceproxy.once``."""
        decorate = decorator(lambda: self.home, **options)
        return decorate(*function) if function else decorate

    async def execute(
        self,
        name: str,
        key: KeyValue,
        function: Callable[[], Awaitable[T]],
        *,
        payload: Any = None,
        scope: str | Sequence[str] = (),
        **treatment: Unpack[Treatment],
    ) -> T:
        """Call an async function once for ``name`` and ``key``, and return its result, or the stored one.

        Args:
            name: what is done, such as ``billing.charge``; part of the identity.
            key: which one of these; part of the identity.
            function: does it. It takes no arguments; ``current_action()`` tells it who it is.
            payload: plain data that says what is asked for: the same key with another one is refused.
            scope: whose it is, besides the guard's own scope; part of the identity.
            treatment: see ``Treatment``.

        Raises:
            OnceError: there is no result; see there for the kinds.
            BaseException: what the function raised, or what a final exception of an earlier copy was.
        """
        asked: Asked[T] = self._asked(name, key, payload, scope, treatment)
        return await run_once(self.home.lifetime.opened(), asked, function, awaiting)

    def execute_sync(
        self,
        name: str,
        key: KeyValue,
        function: Callable[[], T],
        *,
        payload: Any = None,
        scope: str | Sequence[str] = (),
        **treatment: Unpack[Treatment],
    ) -> T:
        """Call a function once, as ``execute`` does, for code that is not async; it blocks the thread.

        Where an event loop runs in this thread, a copy does not wait for another one, which may be a task of
        that very loop: it gets ``InProgress`` at once.
        """

        async def call() -> T:
            return function()

        asked: Asked[T] = self._asked(name, key, payload, scope, treatment)
        return run_blocking(run_once(self.home.lifetime.opened(), asked, call, blocking))

    def action(
        self,
        name: str,
        key: KeyValue,
        *,
        payload: Any = None,
        scope: str | Sequence[str] = (),
        **treatment: Unpack[Treatment],
    ) -> GuardedAction[Any]:
        """Return a boundary that is drawn by hand, for ``async with`` or ``with``; see ``GuardedAction``.

        Arguments are those of ``execute``.
        """
        return GuardedAction(
            self.home.lifetime.opened, lambda: self._asked(name, key, payload, scope, treatment)
        )

    # Its life.

    def open(self) -> None:
        """Open now and not at the first call; blocks. May be repeated.

        Raises:
            ConfigError: the configuration can't be used.
            StoreUnavailable: the database can't.
        """
        self.home.lifetime.opened(again=True).result()

    async def aopen(self) -> None:
        """Open now; for async code."""
        await awaiting(self.home.lifetime.opened(again=True))

    def close(self) -> None:
        """Let calls end within ``grace`` seconds, put the rest in doubt, and let go of all; blocks."""
        run_blocking(self.home.lifetime.close(blocking))

    async def aclose(self) -> None:
        """Close; for async code."""
        await self.home.lifetime.close(awaiting)

    def __enter__(self) -> Guard:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Guard:
        await self.aopen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _asked(
        self, name: str, key: KeyValue, payload: Any, scope: str | Sequence[str], treatment: Treatment
    ) -> Asked[Any]:
        if not name:
            raise ValueError("name is empty")
        terms = read_terms(treatment)
        scopes = (scope,) if isinstance(scope, str) else tuple(scope)
        action = action_of(
            name,
            key=key_text(key),
            fingerprint=fingerprint(name, {"payload": payload}),
            scope=(*self.home.scope, *scopes),
            namespace=self.home.namespace,
            policy=terms.policy,
            show_key=terms.show_key,
        )
        codec = codec_of(Any if terms.returns is None else terms.returns)
        return Asked(name, action, codec, terms.declared, terms.probe, {"payload": payload})
