"""`onceproxy receipts purge`: a receipt is removed, and its history stays."""

from __future__ import annotations

import asyncio

import click

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.receipts.arguments import NoteType, RequestIdType
from onceproxy.cli.receipts.wording import signed
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.core.receipts import RequestId
from onceproxy.store.operator import NotPossible, operating
from onceproxy.store.operator import purge as purge_receipt
from onceproxy.store_setup import database


@click.command()
@settings_options("config", "database", "data_dir")
@click.argument("request_id", metavar="ID", type=RequestIdType())
@click.option("--note", type=NoteType(), required=True, help="Why; it goes into the history.")
def purge(settings: Settings, request_id: RequestId, note: str) -> None:
    """Remove a receipt: the next copy of its action is a new one, and is SENT.

    Only what is settled can be purged. What is in doubt is resolved first (`onceproxy receipts resolve`).
    """

    async def remove() -> None:
        async with database(settings) as url, operating(url) as connections:
            await purge_receipt(connections, request_id, signed(note))

    with startup_errors():
        try:
            asyncio.run(remove())
        except NotPossible as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"{request_id} is purged: the next copy of its action is a new one")
