"""`onceproxy receipts watch`: a line for whatever becomes of a receipt, as it happens."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from functools import partial

import click
from rich.console import Console

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.receipts.wording import COLOURS
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.core.states import State
from onceproxy.core.visible import visible
from onceproxy.store.catalogue import Catalogue, ReceiptRow
from onceproxy.store.documents import row_document
from onceproxy.store.following import follow
from onceproxy.store.records import Records
from onceproxy.store_setup import database


@click.command()
@settings_options("config", "database", "data_dir")
@click.option(
    "--state",
    "states",
    type=click.Choice([s.value for s in State if s is not State.ABSENT]),
    multiple=True,
    help="Only what comes to this state; may be given again.",
)
@click.option("--route", help="Only those of this route.")
@click.option("--host", help="Only those sent to this host.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def watch(
    settings: Settings, states: tuple[str, ...], route: str | None, host: str | None, as_json: bool
) -> None:
    """Follow receipts live, until Ctrl-C.

    A line is written for each receipt that is new, or comes to another state; what nobody knows comes first.
    It looks every second, also after the database was away. Replays change no receipt, and are not shown.
    """

    def fits(row: ReceiptRow) -> bool:
        return (
            (not states or row.state.value in states)
            and (route is None or row.route == route)
            and (host is None or host.lower() in _hosts(row.url))
        )

    async def run() -> None:
        async with database(settings) as url, await Catalogue.open(url):
            pass  # it is there, and one of ours
        records = Records(partial(database, settings))
        click.echo("watching; Ctrl-C ends it", err=True)
        try:
            async for row in follow(records, fits, away=_tell):
                _write(row, as_json)
        finally:
            await records.close()

    with startup_errors(), suppress(KeyboardInterrupt):
        asyncio.run(run())


def _write(row: ReceiptRow, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(row_document(row)))
        return
    why = str(row.status) if row.status is not None else (row.failure or "")
    Console(highlight=False).print(
        f"{row.changed_at:%H:%M:%S} [{COLOURS[row.state]}]{row.state:9}[/] {why:15} {row.request_id}",
        end=" ",
        soft_wrap=True,
    )
    Console(highlight=False).print(visible(f"{row.method} {row.url}"), soft_wrap=True, markup=False)


def _tell(away: bool) -> None:
    click.echo("the database does not answer; trying on" if away else "the database answers again", err=True)


def _hosts(url: str) -> tuple[str, str]:
    authority = url.split("/", 3)[2] if url.count("/") >= 2 else ""
    name = authority.rpartition(":")[0] if authority.rpartition(":")[2].isdigit() else authority
    return authority, name.strip("[]")
