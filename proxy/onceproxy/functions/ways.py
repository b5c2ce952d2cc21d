"""The ways to guard a call that is not decorated, the same for a guard and for a transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, Unpack

from onceproxy.functions.actions import GuardedAction, Once, run_once
from onceproxy.functions.arguments import fingerprint
from onceproxy.functions.background import Wait, awaiting, blocking, run_blocking
from onceproxy.functions.codecs import codec_of
from onceproxy.functions.identity import action_of
from onceproxy.functions.keys import KeyValue, key_text
from onceproxy.functions.lifetimes import Home
from onceproxy.functions.terms import Treatment, read_terms
from onceproxy.functions.turns import Asked

T = TypeVar("T")


class Ways:
    """``execute``, ``execute_sync`` and ``action``. ``home`` is whose calls they are."""

    home: Home

    def turn(self, asked: Asked[T], wait: Wait) -> Once[T]:
        """Return the turn of one copy of a call."""
        raise NotImplementedError

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
        return await run_once(
            self.turn(self._asked(name, key, payload, scope, treatment), awaiting), function
        )

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

        turn: Once[T] = self.turn(self._asked(name, key, payload, scope, treatment), blocking)
        return run_blocking(run_once(turn, call))

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
        return GuardedAction(lambda wait: self.turn(self._asked(name, key, payload, scope, treatment), wait))

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
