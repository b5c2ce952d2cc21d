"""The database of a configuration, for commands that run beside a proxy or without one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from onceproxy.config.model import Settings
from onceproxy.store.embedded import start_embedded


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """Yield the URL; the embedded server is started for the time if no proxy runs it."""
    if settings.database != "embedded":
        yield settings.database
        return
    server = await start_embedded(settings.data_dir)
    try:
        yield server.url
    finally:
        await server.stop()
