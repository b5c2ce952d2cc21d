"""``Guard``: the library's face."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, Unpack, overload

from onceproxy.functions.background import Wait, awaiting, blocking, run_blocking
from onceproxy.functions.decorating import Decorator, Expression, P, decorator
from onceproxy.functions.lifetimes import Home, Lifetime
from onceproxy.functions.opening import Place
from onceproxy.functions.terms import Treatment
from onceproxy.functions.transactions import Transaction
from onceproxy.functions.turns import Asked, Turn
from onceproxy.functions.ways import Ways

T = TypeVar("T")

GRACE = 30.0  # seconds that calls have to end in when a guard closes


class Guard(Ways):
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

    def transaction(self, connection: Any) -> Transaction:
        """Return the ways to guard calls whose effect is in the transaction that ``connection`` is in.

        Claim, effect and completion are then one commit, the caller's: exactly once. The connection leads to
        the database of the receipts, in READ COMMITTED, and is one of asyncpg or psycopg 3 (async or not), or
        SQLAlchemy's ``AsyncConnection`` or ``AsyncSession`` over one of these::

            async with connection.transaction():
                await guard.transaction(connection).execute("transfer", key, move_money)

        A copy that runs at the same time waits in the database for the commit. An exception takes the effect
        back, whatever ``released_on`` says; one of ``final_on`` is stored if the caller commits all the same.
        A result of more than 256 KiB is not kept.
        """
        return Transaction(self.home, connection)

    def turn(self, asked: Asked[T], wait: Wait) -> Turn[T]:
        """Return the turn of one copy of a call."""
        return Turn(self.home.lifetime.opened(), asked, wait)

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
