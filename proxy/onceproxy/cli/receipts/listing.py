"""`onceproxy receipts list`: the newest receipts, one a line."""

from __future__ import annotations

import asyncio
import json
import sys

import click
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.receipts.arguments import DurationType
from onceproxy.cli.receipts.wording import COLOURS, age
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.core.states import State
from onceproxy.core.visible import visible
from onceproxy.store.catalogue import LIMIT, Catalogue, ReceiptRow
from onceproxy.store.documents import row_document
from onceproxy.store_setup import database


@click.command(name="list")
@settings_options("config", "database", "data_dir")
@click.option("--state", type=click.Choice([s.value for s in State if s is not State.ABSENT]))
@click.option("--route", help="Only those of this route.")
@click.option("--host", help="Only those sent to this host.")
@click.option("--since", type=DurationType(), help="Only those of the last so long, such as 24h.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=LIMIT, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(
    settings: Settings,
    state: str | None,
    route: str | None,
    host: str | None,
    since: float | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest receipts."""

    async def fetch() -> list[ReceiptRow]:
        async with database(settings) as url, await Catalogue.open(url) as catalogue:
            return await catalogue.list_receipts(
                state=State(state) if state else None, route=route, host=host, since=since, limit=limit
            )

    with startup_errors():
        rows = asyncio.run(fetch())
    if as_json:
        for row in rows:
            click.echo(json.dumps(row_document(row)))
        return
    _print_table(rows)


def _print_table(rows: list[ReceiptRow]) -> None:
    console = Console(highlight=False)
    if not rows:
        console.print("no receipts")
        return
    # The long column comes last, and a line is never cut: an ID that is not whole can't be shown.
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("state", "status", "age", "request_id", "request"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        status = str(row.status) if row.status is not None else (row.failure or "")
        table.add_row(
            f"[{COLOURS[row.state]}]{row.state}[/]",
            status,
            age(row.changed_at),
            str(row.request_id),
            escape(visible(f"{row.method} {row.url}")),
        )
    unlimited = console.options.update(max_width=sys.maxsize)
    console.width = Measurement.get(console, unlimited, table).maximum
    console.print(table)
    doubtful = sum(row.state is State.IN_DOUBT for row in rows)
    if doubtful:
        console.print(
            f"\n{doubtful} in doubt: `onceproxy receipts show ID` shows the evidence. Look at the upstream "
            "whether it happened, and say so with `onceproxy receipts resolve ID`.",
            soft_wrap=True,
        )
