"""`onceproxy migrate`: bring the database's schema up to date."""

from __future__ import annotations

import asyncio

import click

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.store.migrating import migrate_database
from onceproxy.store_setup import database


@click.command()
@settings_options("config", "database", "data_dir")
def migrate(settings: Settings) -> None:
    """Create or update the tables. `serve` does the same at its start."""
    with startup_errors():
        version = asyncio.run(_migrate(settings))
    click.echo(f"the schema is at version {version}")


async def _migrate(settings: Settings) -> int:
    async with database(settings) as url:
        return await migrate_database(url, connect_timeout=settings.limits.database_timeout)
