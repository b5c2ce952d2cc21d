"""From settings to an open store, for all that keep receipts: the proxy, and the functions of a program."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import structlog

from onceproxy.config.encryption import BadKey, read_keys
from onceproxy.config.limits import Limits
from onceproxy.config.load import ConfigError
from onceproxy.config.model import Settings
from onceproxy.guard.draining import Draining
from onceproxy.guard.guard import Guard, GuardLimits
from onceproxy.guard.ports import Execute, Meter
from onceproxy.guard.room import Room
from onceproxy.sealing.keyring import Keyring
from onceproxy.spool.directory import SpoolDirectory
from onceproxy.store.batching import Batched
from onceproxy.store.cache import Hit
from onceproxy.store.embedded import start_embedded
from onceproxy.store.postgres import PostgresStore

log = structlog.get_logger("onceproxy")

_Store = TypeVar("_Store", bound=PostgresStore)


def guard_limits(limits: Limits) -> GuardLimits:
    """Return what a configuration says of the guard's patience and room."""
    return GuardLimits(
        receipt_body=limits.receipt_body,
        executions=limits.executions,
        executions_per_user=limits.executions_per_user,
        queue=limits.queue,
        queue_timeout=limits.queue_timeout,
        waiters=limits.waiters,
        waiters_per_action=limits.waiters_per_action,
    )


def keyring_of(settings: Settings) -> Keyring:
    """Return the keys of stored answers. They were looked at when the settings were loaded.

    Raises:
        ConfigError: one of them is not there any more.
    """
    keys = []
    for at, found in read_keys(settings.encryption, os.environ):
        if isinstance(found, BadKey):
            raise ConfigError([f"encryption.keys[{at}].{found.place}: {found}"])
        keys.append(found)
    return Keyring(keys)


def spool_directory(settings: Settings) -> Path:
    """Return where answers wait that the database does not take."""
    return settings.data_dir.absolute() / "spool"


def spool_of(settings: Settings, store: PostgresStore, keyring: Keyring) -> SpoolDirectory:
    """Return the spool beside an open store."""
    return SpoolDirectory(spool_directory(settings), store.credential_key, settings.limits.spool, keyring)


async def start_guard(
    settings: Settings,
    parts: AsyncExitStack,
    store: PostgresStore,
    execute: Execute,
    keyring: Keyring,
    meter: Meter,
) -> Guard:
    """Return a guard over an open store, its spool drained until ``parts`` are left; for what is no proxy."""
    spool = spool_of(settings, store, keyring)
    guard = Guard(store, execute, guard_limits(settings.limits), spool=spool, meter=meter)
    draining = Draining(store, spool, meter)
    await draining.start()
    parts.push_async_callback(draining.stop)
    return guard


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """Yield the database's URL, for what runs beside a proxy or without one.

    The embedded server is started for the time if nobody runs it.
    """
    if settings.database != "embedded":
        # One connection or two, and no pooler's business.
        yield settings.database_direct or settings.database
        return
    server = await start_embedded(settings.data_dir)
    try:
        yield server.url
    finally:
        await server.stop()


async def open_store(
    settings: Settings,
    parts: AsyncExitStack,
    room: Room,
    keyring: Keyring,
    *,
    kind: type[_Store],
    batched: Batched | None = None,
    cache_hit: Hit | None = None,
) -> _Store:
    """Open the store of a configuration, its database started where it is the embedded one.

    Leaving ``parts`` closes both. ``kind`` is the store's class; ``batched`` and ``cache_hit`` are told what
    ``PostgresStore.open`` says.

    Raises:
        StoreError: the database can't be used.
    """
    url = settings.database
    if url == "embedded":
        server = await start_embedded(settings.data_dir)
        parts.push_async_callback(server.stop)
        server.look_after()
        url = server.url
    store = await kind.open(
        url,
        direct=settings.database_direct,
        allow_unsafe_durability=settings.allow_unsafe_durability,
        connect_timeout=settings.limits.database_timeout,
        lease=settings.limits.lease,
        heartbeat=settings.limits.lease / 4,
        data_dir=settings.data_dir,
        batched=batched,
        cache=settings.limits.receipt_cache,
        keyring=keyring,
        room=room,
        cache_hit=cache_hit,
    )
    parts.push_async_callback(store.close)
    for key in await store.unknown_keys():
        log.warning(
            "receipts-not-readable",
            key=key,
            hint="receipts are encrypted with a key that is not in encryption.keys; their copies get 409",
        )
    return store
