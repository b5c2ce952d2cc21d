"""The composition root of the library: the proxy's guard, store and spool, with calls to execute."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from onceproxy.config.load import load
from onceproxy.functions.background import Background
from onceproxy.functions.calls import Calls, CallStore
from onceproxy.functions.errors import StoreUnavailable
from onceproxy.guard.guard import Guard
from onceproxy.guard.ports import NoMeter
from onceproxy.guard.room import Room
from onceproxy.sealing.keyring import Keyring
from onceproxy.store.errors import StoreError
from onceproxy.store_setup import keyring_of, open_store, start_guard


@dataclass(frozen=True, slots=True)
class Place:
    """Where a guard keeps its receipts: the file and the flags, as commands take them."""

    config: Path | None
    flags: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Opened:
    """An open guard. All of it but ``background`` belongs to the background's loop."""

    background: Background
    core: Guard
    store: CallStore
    keyring: Keyring
    receipt_body: int
    parts: AsyncExitStack

    async def close(self, grace: float) -> None:
        """Let calls under way end within ``grace`` seconds, put the rest in doubt, and let go of all."""
        await self.core.stop(grace)
        await self.parts.aclose()


async def open_guard(place: Place, environ: Mapping[str, str], background: Background) -> Opened:
    """Open a guard, in the loop that it will live in.

    Raises:
        ConfigError: the configuration can't be used.
        StoreUnavailable: the database can't; the text says why, and what to do.
    """
    _log_through_logging()
    settings = load(place.config, environ=environ, flags=place.flags)
    limits = settings.limits
    meter = NoMeter()
    room = Room(limits.memory, limits.temporary, meter.limit_hit)
    keyring = keyring_of(settings)
    async with AsyncExitStack() as parts:
        try:
            store = await open_store(settings, parts, room, keyring, kind=CallStore)
        except StoreError as error:
            raise StoreUnavailable(f"The database of receipts can't be used: {error}") from error
        core = await start_guard(settings, parts, store, Calls(), keyring, meter)
        return Opened(background, core, store, keyring, limits.receipt_body, parts.pop_all())


def _log_through_logging() -> None:
    """Have our log go where the program's own goes, unless it has said what becomes of structlog's.

    As it comes, structlog prints to stdout, where programs that use a library have their output.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
