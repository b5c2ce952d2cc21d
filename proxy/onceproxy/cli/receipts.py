"""`onceproxy receipts`: what happened, what did not, and what nobody knows."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from onceproxy.cli.database import database
from onceproxy.cli.errors import startup_errors
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.config.units import parse_duration
from onceproxy.core.messages import Body
from onceproxy.core.receipts import Receipt, RequestId
from onceproxy.core.states import State
from onceproxy.store.catalogue import LIMIT, Catalogue, EventRow, ReceiptRow

COLOURS = {
    State.COMPLETED: "green",
    State.CLAIMED: "cyan",
    State.RELEASED: "dim",
    State.IN_DOUBT: "bold red",
    State.ABSENT: "dim",
}


class RequestIdType(click.ParamType[RequestId]):
    """A request_id, as it is shown everywhere."""

    name = "ID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> RequestId:
        """Read a request_id, or fail with what is wrong."""
        if isinstance(value, RequestId):
            return value
        try:
            return RequestId.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class DurationType(click.ParamType[float]):
    """A duration such as 24h, in seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a duration, or fail with what is wrong."""
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group()
def receipts() -> None:
    """List and show receipts."""


@receipts.command(name="list")
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
            click.echo(json.dumps(_plain(asdict(row)) | {"request_id": str(row.request_id)}))
        return
    _print_table(rows)


@receipts.command()
@settings_options("config", "database", "data_dir")
@click.argument("request_id", metavar="ID", type=RequestIdType())
@click.option("--body", is_flag=True, help="Write the stored response's body to stdout, and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(settings: Settings, request_id: RequestId, body: bool, as_json: bool) -> None:
    """Show one receipt, its evidence and its history."""

    async def fetch() -> tuple[tuple[Receipt, tuple[EventRow, ...]] | None, Body | None]:
        async with database(settings) as url, await Catalogue.open(url) as catalogue:
            found = await catalogue.show(request_id)
            return found, await catalogue.body(found[0]) if body and found is not None else None

    with startup_errors():
        found, content = asyncio.run(fetch())
    if found is None:
        raise click.ClickException(f"there is no receipt {request_id}")
    receipt, events = found
    if body:
        _write_body(receipt, content)
    elif as_json:
        click.echo(json.dumps(_document(receipt, events)))
    else:
        _print_receipt(receipt, events)


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
            _age(row.changed_at),
            str(row.request_id),
            escape(f"{row.method} {row.url}"),
        )
    unlimited = console.options.update(max_width=sys.maxsize)
    console.width = Measurement.get(console, unlimited, table).maximum
    console.print(table)
    doubtful = sum(row.state is State.IN_DOUBT for row in rows)
    if doubtful:
        console.print(
            f"\n{doubtful} in doubt: `onceproxy receipts show ID` shows the evidence. Look at the upstream "
            "whether it happened; it is not sent again.",
            soft_wrap=True,
        )


def _print_receipt(receipt: Receipt, events: tuple[EventRow, ...]) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{receipt.request_id}[/]", soft_wrap=True)
    console.print(f"[{COLOURS[receipt.state]}]{receipt.state}[/], attempt {receipt.attempt}, {receipt.kind}")
    console.print(f"{receipt.method} {receipt.url}", soft_wrap=True, markup=False)
    if receipt.response is not None:
        size = f"{receipt.body_size} bytes" + ("" if receipt.body_kept else ", not kept: over the limit")
        if receipt.partial:
            size += "; cut off: only a part of the response, as far as it had arrived"
        reason = receipt.response.reason.decode("latin-1")
        console.print(f"response: {receipt.response.status} {reason} ({size})", markup=False)
        for name, value in receipt.response.headers:
            console.print(
                f"  {name.decode('latin-1')}: {value.decode('latin-1')}", soft_wrap=True, markup=False
            )
    evidence = ", ".join(part for part in (receipt.phase, receipt.failure, receipt.detail) if part)
    if evidence:
        console.print(f"evidence: {evidence}", soft_wrap=True, markup=False)
    console.print("\nhistory (UTC)")
    for event in events:
        words = " ".join(part for part in (event.reason, event.phase, event.detail) if part)
        line = f"  {event.at:%Y-%m-%d %H:%M:%S} {event.kind}, attempt {event.attempt} {words}"
        console.print(line.rstrip(), soft_wrap=True, markup=False)
    if receipt.state is State.IN_DOUBT:
        console.print(
            "\nWhether it happened is not known, and it is not sent again. "
            "Look at the upstream whether it was done.",
            soft_wrap=True,
        )


def _write_body(receipt: Receipt, body: Body | None) -> None:
    if receipt.response is None or not receipt.body_kept:
        raise click.ClickException("the receipt holds no body")
    if body is None:
        raise click.ClickException("the database does not give the body back as it was: it is damaged")
    for chunk in body.chunks():
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _document(receipt: Receipt, events: tuple[EventRow, ...]) -> dict[str, Any]:
    response = receipt.response
    return {
        "request_id": str(receipt.request_id),
        "state": receipt.state.value,
        "attempt": receipt.attempt,
        "kind": receipt.kind.value,
        "route": receipt.route,
        "method": receipt.method,
        "url": receipt.url,
        "age": round(receipt.age, 3),
        "fingerprint": receipt.fingerprint.hex(),
        "response": None
        if response is None
        else {
            "status": response.status,
            "reason": response.reason.decode("latin-1"),
            "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in response.headers],
            "partial": receipt.partial,
            "body_kept": receipt.body_kept,
            "body_size": receipt.body_size,
            "body_sha256": receipt.body_digest.hex(),
        },
        "evidence": {"phase": receipt.phase, "failure": receipt.failure, "detail": receipt.detail},
        "events": [_plain(asdict(event)) for event in events],
    }


def _plain(members: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        return str(value) if isinstance(value, UUID) else value

    return {name: plain(value) for name, value in members.items()}


def _age(since: datetime) -> str:
    seconds = max(0, int((datetime.now(UTC) - since).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
