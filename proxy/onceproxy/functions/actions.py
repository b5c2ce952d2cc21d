"""Boundaries drawn by hand: ``async with guard.action(…) as action:``, and the same without ``async``.

A ``with`` block can't be skipped, so a replay runs the body as well: it has to ask ``action.fresh``. Whoever
forgets is told at the first try, on the way out, and not at the first copy, by a second effect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from onceproxy.core.receipts import RequestId
from onceproxy.functions.background import Wait, awaiting, blocking, run_blocking
from onceproxy.functions.current import CurrentCall, running
from onceproxy.functions.errors import ResultNotSet

T = TypeVar("T")

_UNSET: Any = object()


class Once(Protocol[T]):
    """The turn of one copy of a call: ``Turn``, or ``TransactionTurn``, which says the same in another way.

    ``unsaid`` is what it means that nobody says what came of it.
    """

    unsaid: str
    fresh: bool
    attempt: int
    result: T

    @property
    def request_id(self) -> RequestId:
        """The identity of the call."""
        ...

    @property
    def current(self) -> CurrentCall:
        """The call, for the code that makes it."""
        ...

    async def begin(self) -> None:
        """Find out whether this copy is to run; if not, ``result`` is the stored one."""
        ...

    async def succeeded(self, value: T) -> T:
        """Say that it returned ``value``."""
        ...

    async def failed(self, error: BaseException) -> None:
        """Say that it raised ``error``; the caller raises it."""
        ...

    async def left_unsaid(self, fault: BaseException) -> None:
        """Say that nobody said what came of it; the caller raises ``fault``."""
        ...

    def leave(self) -> None:
        """Note that the caller is gone; once it has said what came of it, that stands."""
        ...


class GuardedAction(Generic[T]):
    """One copy of an action whose boundary is a block::

        async with guard.action("charge", key=order.id) as action:
            if action.fresh:
                action.result = await charge(order, idempotency_key=action.request_id)
        return action.result

    Leaving by an exception follows ``released_on`` and ``final_on``. To be used once.
    """

    def __init__(self, turn: Callable[[Wait], Once[T]]) -> None:
        self._ask = turn
        self._turn: Once[T] | None = None
        self._running: AbstractContextManager[None] | None = None
        self._looked = False
        self._result: T = _UNSET

    @property
    def fresh(self) -> bool:
        """Whether this copy is the one that has to do it. False: it is done, and ``result`` is there."""
        self._looked = True
        return self._entered.fresh

    @property
    def replayed(self) -> bool:
        """Whether it was done before, and ``result`` is there."""
        return not self.fresh

    @property
    def request_id(self) -> str:
        """The identity of the action (``oid_…``), the same for all copies: a key to hand to a vendor."""
        return str(self._entered.request_id)

    @property
    def uuid(self) -> UUID:
        """The same as a UUID, for vendors that want one."""
        return self._entered.request_id.uuid

    @property
    def attempt(self) -> int:
        """Which attempt this is, or which one the stored result is of; from 1."""
        return self._entered.attempt

    @property
    def result(self) -> T:
        """What came of it: as it was set, or as it is stored. Set it when the effect has happened.

        Raises:
            ResultNotSet: it was not set yet, or it is set for an action that was done before.
        """
        if self._result is _UNSET:
            raise self._fault("action.result is not set yet")
        return self._result

    @result.setter
    def result(self, value: T) -> None:
        if not self._entered.fresh:
            raise self._fault("it was done before, and has a result. Ask `if action.fresh:` before doing it")
        self._result = value

    async def __aenter__(self) -> GuardedAction[T]:
        await self._enter(awaiting)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave(error)

    def __enter__(self) -> GuardedAction[T]:
        run_blocking(self._enter(blocking))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run_blocking(self._leave(error))

    @property
    def _entered(self) -> Once[T]:
        if self._turn is None:
            raise RuntimeError(
                "a guarded action is used in a with block: `async with guard.action(…) as action:`"
            )
        return self._turn

    async def _enter(self, wait: Wait) -> None:
        if self._turn is not None:
            raise RuntimeError("a guarded action is used once: ask the guard for another one")
        turn = self._turn = self._ask(wait)
        await turn.begin()
        if turn.fresh:
            self._running = running(turn.current)
            self._running.__enter__()
        else:
            self._result = turn.result

    async def _leave(self, error: BaseException | None) -> None:
        turn = self._entered
        if self._running is not None:
            self._running.__exit__(None, None, None)
        try:
            if turn.fresh:
                await self._end(turn, error)
        except BaseException:
            turn.leave()
            raise
        if error is None and not self._looked:
            raise self._fault(
                "the block did not ask `if action.fresh:`, so it does its effect again for each copy"
            )

    async def _end(self, turn: Once[T], error: BaseException | None) -> None:
        if error is not None:
            await turn.failed(error)
        elif self._result is _UNSET:
            fault = self._fault(f"the block ended without setting action.result: {turn.unsaid}")
            await turn.left_unsaid(fault)
            raise fault
        else:
            await turn.succeeded(self._result)

    def _fault(self, why: str) -> ResultNotSet:
        turn = self._entered
        return ResultNotSet(
            f"{turn.current.name}: {why} ({turn.request_id}).",
            name=turn.current.name,
            request_id=str(turn.request_id),
            attempt=turn.attempt,
            executed=turn.fresh,
        )


async def run_once(turn: Once[T], function: Callable[[], Awaitable[T]]) -> T:
    """Run ``function`` if this copy is to, and return its result, or the stored one."""
    try:
        await turn.begin()
        if not turn.fresh:
            return turn.result
        try:
            with running(turn.current):
                value = await function()
        except BaseException as error:
            await turn.failed(error)
            raise
        return await turn.succeeded(value)
    except BaseException:
        turn.leave()
        raise
