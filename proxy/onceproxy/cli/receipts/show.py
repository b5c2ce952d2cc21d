"""`onceproxy receipts show`: one receipt, its evidence, its history, and what to do next."""

from __future__ import annotations

import asyncio
import json
import sys

import click
from rich.console import Console

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.receipts.arguments import RequestIdType
from onceproxy.cli.receipts.wording import COLOURS
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.core.messages import Body
from onceproxy.core.receipts import Receipt, RequestId, Source
from onceproxy.core.states import State
from onceproxy.core.visible import visible
from onceproxy.guard.ports import Unreadable
from onceproxy.store.catalogue import Catalogue, EventRow
from onceproxy.store.documents import receipt_document
from onceproxy.store_setup import database, keyring_of

SOURCES = {
    Source.PROBE: "the probe's, in place of the one that was lost",
    Source.OPERATOR: "entered by a person",
}


@click.command()
@settings_options("config", "database", "data_dir")
@click.argument("request_id", metavar="ID", type=RequestIdType())
@click.option("--body", is_flag=True, help="Write the stored response's body to stdout, and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(settings: Settings, request_id: RequestId, body: bool, as_json: bool) -> None:
    """Show one receipt, its evidence and its history."""

    async def fetch() -> tuple[tuple[Receipt, tuple[EventRow, ...]] | None, Body | None]:
        async with (
            database(settings) as url,
            await Catalogue.open(url, keyring=keyring_of(settings)) as catalogue,
        ):
            found = await catalogue.show(request_id)
            return found, await catalogue.body(found[0]) if body and found is not None else None

    with startup_errors():
        try:
            found, content = asyncio.run(fetch())
        except Unreadable as error:
            raise click.ClickException(f"the body can't be read: {error}") from error
    if found is None:
        raise click.ClickException(f"there is no receipt {request_id}")
    receipt, events = found
    if body:
        _write_body(receipt, content)
    elif as_json:
        click.echo(json.dumps(receipt_document(receipt, events)))
    else:
        _print_receipt(receipt, events)


def _print_receipt(receipt: Receipt, events: tuple[EventRow, ...]) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{receipt.request_id}[/]", soft_wrap=True)
    console.print(f"[{COLOURS[receipt.state]}]{receipt.state}[/], attempt {receipt.attempt}, {receipt.kind}")
    console.print(visible(f"{receipt.method} {receipt.url}"), soft_wrap=True, markup=False)
    _print_response(console, receipt)
    evidence = ", ".join(part for part in (receipt.phase, receipt.failure, receipt.detail) if part)
    if evidence:
        console.print(f"evidence: {visible(evidence)}", soft_wrap=True, markup=False)
    console.print("\nhistory (UTC)")
    for event in events:
        words = " ".join(part for part in (event.reason, event.phase, event.detail) if part)
        line = f"  {event.at:%Y-%m-%d %H:%M:%S} {event.kind}, attempt {event.attempt} {words}"
        console.print(visible(line.rstrip()), soft_wrap=True, markup=False)
    for line in _next_steps(receipt):
        console.print(line, soft_wrap=True, markup=False)


def _print_response(console: Console, receipt: Receipt) -> None:
    if receipt.response is None:
        return
    if receipt.unreadable is not None:
        console.print(f"response: {receipt.response.status}; the rest can't be read: {receipt.unreadable}")
        return
    size = f"{receipt.body_size} bytes" + ("" if receipt.body_kept else ", not kept: over the limit")
    if receipt.partial:
        size += "; cut off: only a part of the response, as far as it had arrived"
    if receipt.source in SOURCES:
        size += f"; {SOURCES[receipt.source]}"
    reason = visible(receipt.response.reason.decode("latin-1"))
    console.print(f"response: {receipt.response.status} {reason} ({size})", soft_wrap=True, markup=False)
    for name, value in receipt.response.headers:
        line = visible(f"{name.decode('latin-1')}: {value.decode('latin-1')}")
        console.print(f"  {line}", soft_wrap=True, markup=False)


def _next_steps(receipt: Receipt) -> tuple[str, ...]:
    owner_gone = receipt.state is State.CLAIMED and receipt.lease_left <= 0
    if receipt.state is State.IN_DOUBT or owner_gone:
        resolve = f"onceproxy receipts resolve {receipt.request_id}"
        return (
            "\nnext step",
            "  Whether it happened is not known, and it is not sent again. Look at the upstream whether it "
            "was done, and say what you saw:",
            f"  it was done:      {resolve} --happened --status 201 --body @response.json --note '…'",
            f"  it was not done:  {resolve} --did-not-happen --note '…'",
            "  Copies get the response that you enter, or the next one is sent.",
        )
    if receipt.state is State.CLAIMED:
        return ("\nnext step", "  None: a proxy is at work on it.")
    if receipt.state is State.RELEASED:
        return ("\nnext step", "  None: it did not happen, and the next copy will be sent.")
    return ()


def _write_body(receipt: Receipt, body: Body | None) -> None:
    if receipt.response is None or not receipt.body_kept:
        raise click.ClickException("the receipt holds no body")
    if body is None:
        raise click.ClickException("the database does not give the body back as it was: it is damaged")
    for chunk in body.chunks():
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
