"""`onceproxy gc`: clean the database up now."""

from __future__ import annotations

import asyncio

import click

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.progress import progress
from onceproxy.cli.receipts.arguments import DurationType
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.store.collecting import Cleaned, clean_database, forget_events
from onceproxy.store_setup import database


@click.command()
@settings_options("config", "database", "data_dir")
@click.option(
    "--events-older-than",
    "events",
    type=DurationType(),
    help="Also remove events of the audit trail that are so old, as 400d, and whose receipts are gone.",
)
def gc(settings: Settings, events: float | None) -> None:
    """Remove what has expired, and put in doubt what dead proxies had claimed.

    Running proxies do the same from time to time; this does it now, and says what it did. The audit trail is
    never removed unless you say so here; with roles of one's own that takes the owner's.
    """
    with startup_errors():
        cleaned = asyncio.run(_clean(settings))
    collected = cleaned.collected
    click.echo(f"{collected.expired} receipts expired: their responses are gone")
    click.echo(f"{collected.forgotten} receipts forgotten: their rows are gone")
    click.echo(f"{collected.parts} loose parts of bodies removed")
    click.echo(f"{cleaned.lost} claims of dead proxies put in doubt")
    click.echo(f"{cleaned.instances} dead proxies forgotten")
    click.echo(f"{cleaned.notices} old messages to hooks removed")
    if events is not None:
        with startup_errors():
            removed = asyncio.run(_forget_events(settings, events))
        click.echo(f"{removed} events removed from the audit trail")


async def _clean(settings: Settings) -> Cleaned:
    async with database(settings) as url:
        with progress("receipts looked at") as tell:
            return await clean_database(url, connect_timeout=settings.limits.database_timeout, told=tell)


async def _forget_events(settings: Settings, older: float) -> int:
    async with database(settings) as url:
        with progress("events removed") as tell:
            return await forget_events(url, older, tell, connect_timeout=settings.limits.database_timeout)
