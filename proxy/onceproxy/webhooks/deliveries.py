"""Deliveries: requests to an application, treated as the proxy treats those to upstreams."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from onceproxy.config.contradictions import contradictions
from onceproxy.config.load import ConfigError, load
from onceproxy.config.model import Settings
from onceproxy.config.routing import route_table
from onceproxy.config.wording import dotted, location, what_is_wrong
from onceproxy.core.actions import action_of
from onceproxy.core.credential import credential_digest
from onceproxy.core.identity import Examined, examine
from onceproxy.core.keys import BadKey, MissingKey
from onceproxy.core.messages import Request
from onceproxy.core.policies import InDoubt, Mode
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.core.routes import Route, RouteTable
from onceproxy.core.rules import Missing
from onceproxy.guard.answers import Answer
from onceproxy.guard.guard import Guard
from onceproxy.guard.ports import NoMeter
from onceproxy.guard.room import Room
from onceproxy.store.postgres import PostgresStore
from onceproxy.store_setup import keyring_of, open_store, start_guard
from onceproxy.webhooks.handling import Delivery, Handlers, under_way

GRACE = 30.0  # seconds that handlers have to end in when an application stops
INLINE = 64 * 1024  # bytes of a body up to which a thread costs more than reading it


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that is no action: the application has it as if nobody had looked."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The handler raised: whoever serves the application is to hear of it."""

    error: Exception


@dataclass(frozen=True, slots=True)
class _Open:
    """What is open while an application runs."""

    guard: Guard
    store: PostgresStore
    parts: AsyncExitStack


class Deliveries:
    """Opens at the first delivery, or by ``open``, in the event loop of whoever asks.

    Args:
        config: a configuration file; None: ``ONCEPROXY_CONFIG``, or ``./onceproxy.yaml`` where it exists.
        routes: routes as they stand in a file, tried before the file's own.
        database: ``embedded`` or ``postgresql://…``; None: as the file or the environment says.
        data_dir: where the embedded database and the spool live; None likewise.
        grace: seconds (0 or more) that handlers have to end in at ``close``.

    Raises:
        ConfigError: the configuration can't be used.
    """

    def __init__(
        self,
        *,
        config: str | os.PathLike[str] | None = None,
        routes: Sequence[Mapping[str, Any]] = (),
        database: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        grace: float = GRACE,
    ) -> None:
        flags = {"database": database, "data_dir": os.fspath(data_dir) if data_dir is not None else None}
        loaded = load(Path(config) if config is not None else None, environ=os.environ, flags=flags)
        self.settings = _with_routes(loaded, routes)
        self._routes: RouteTable = route_table(self.settings)
        _check(self._routes)
        self._grace = grace
        self._open: _Open | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Open the store. May be repeated.

        Raises:
            StoreError: the database can't be used.
        """
        await self._opened()

    async def close(self) -> None:
        """Let handlers under way end within the grace, put the rest in doubt, and let go of all."""
        async with self._opening:
            opened, self._open = self._open, None
        if opened is not None:
            await opened.guard.stop(self._grace)
            await opened.parts.aclose()

    @property
    def largest(self) -> int:
        """How many bytes the body of a delivery may have."""
        return self.settings.limits.request_body

    def passes(self, request: Request) -> bool:
        """Say by the head alone whether a request is no action, so that nobody needs to read its body."""
        route = self._routes.find_by_head(request)
        if route is None or route.policy.mode is Mode.OFF:
            return route is not None
        return not route.needs_body(request) and not route.guards(request)

    async def deliver(self, request: Request, delivery: Delivery) -> Answer | Problem | Passed | Raised:
        """Have a delivery whose body is there handled once, or answered from what is known of it."""
        route = self._routes.find(request)
        if route.policy.mode is Mode.OFF or not route.guards(request):
            return Passed()
        try:
            examined = await _examined(request, route)
        except (BadKey, MissingKey) as error:
            if isinstance(error, MissingKey) and route.identity.missing is Missing.PASS:
                return Passed()
            kind = ProblemType.BAD_KEY if isinstance(error, BadKey) else ProblemType.MISSING_KEY
            return Problem(kind, f"{error}. No handler was run.", route=route.name)
        opened = await self._opened()
        credential = credential_digest(opened.store.credential_key, request.headers, route.identity)
        action = action_of(examined, route, credential, insisted=False)
        token = under_way.set(delivery)
        try:
            answer = await opened.guard.once(action, examined.outgoing)
        finally:
            under_way.reset(token)
        return Raised(delivery.error) if delivery.error is not None and not answer.replayed else answer

    async def _opened(self) -> _Open:
        async with self._opening:
            if self._open is None:
                self._open = await _open(self.settings)
            return self._open


async def _open(settings: Settings) -> _Open:
    meter = NoMeter()
    keyring = keyring_of(settings)
    room = Room(settings.limits.memory, settings.limits.temporary, meter.limit_hit)
    async with AsyncExitStack() as parts:
        store = await open_store(settings, parts, room, keyring, kind=PostgresStore)
        guard = await start_guard(settings, parts, store, Handlers(), keyring, meter)
        return _Open(guard, store, parts.pop_all())


async def _examined(request: Request, route: Route) -> Examined:
    def examined() -> Examined:
        return examine(request, route.identity, user=None, action=None)

    return await asyncio.to_thread(examined) if request.body.size > INLINE else examined()


def _with_routes(settings: Settings, routes: Sequence[Mapping[str, Any]]) -> Settings:
    if not routes:
        return settings
    given = {"routes": [dict(route) for route in routes]}
    if wrong := list(contradictions(given)):
        raise ConfigError([f"{dotted(key)}: {what}" for key, what in wrong])
    try:
        checked = Settings.model_validate({"version": 1, **given})
    except ValidationError as error:
        raise ConfigError(
            [f"{dotted(location(one))}: {what_is_wrong(one)}" for one in error.errors()]
        ) from None
    return settings.model_copy(update={"routes": (*checked.routes, *settings.routes)})


def _check(routes: RouteTable) -> None:
    for route in (*routes.routes, routes.default):
        if route.policy.in_doubt is InDoubt.PROBE:
            raise ConfigError(
                [f"{route.origin or route.name}: in_doubt: probe asks an upstream, and there is none here"]
            )
