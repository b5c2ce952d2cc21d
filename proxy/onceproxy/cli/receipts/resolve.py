"""`onceproxy receipts resolve`: a person says what became of an action that is in doubt."""

from __future__ import annotations

import asyncio

import click

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.receipts.arguments import BodyType, HeaderType, NoteType, RequestIdType
from onceproxy.cli.receipts.wording import signed
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.core.receipts import RequestId, Source
from onceproxy.guard.ports import Resolution
from onceproxy.store.operator import NotPossible, entered_response, operating, resolve_by_hand
from onceproxy.store_setup import database, keyring_of

STATUS = 200  # of a response that nobody gave a status


@click.command()
@settings_options("config", "database", "data_dir")
@click.argument("request_id", metavar="ID", type=RequestIdType())
@click.option("--happened/--did-not-happen", default=None, help="What the upstream shows.")
@click.option("--status", type=click.IntRange(200, 599), help="Of the response that copies will get. [200]")
@click.option("--header", "headers", type=HeaderType(), multiple=True, help="A header line of it.")
@click.option("--body", type=BodyType(), help="Its body: @FILE, @- for stdin, or the text itself.")
@click.option("--note", type=NoteType(), required=True, help="How you know; it goes into the history.")
def resolve(
    settings: Settings,
    request_id: RequestId,
    happened: bool | None,
    status: int | None,
    headers: tuple[tuple[bytes, bytes], ...],
    body: bytes | None,
    note: str,
) -> None:
    """Say whether an action in doubt happened.

    Look at the upstream first. With --happened, waiting and later copies get the response that you enter,
    marked as yours. With --did-not-happen, the next copy is sent. No proxy needs to run, and those that do
    hear of it.
    """
    if happened is None:
        raise click.UsageError("say --happened or --did-not-happen")
    response = None
    if happened:
        response = entered_response(status or STATUS, headers, body or b"")
    elif status is not None or headers or body is not None:
        raise click.UsageError(
            "--status, --header and --body describe what happened: use them with --happened"
        )
    resolution = Resolution(happened, Source.OPERATOR, signed(note), response)

    async def settle() -> bool:
        async with database(settings) as url, operating(url) as connections:
            return await resolve_by_hand(connections, request_id, resolution, keyring_of(settings))

    with startup_errors():
        try:
            changed = asyncio.run(settle())
        except NotPossible as error:
            raise click.ClickException(str(error)) from error
    what = "completed: copies get the response you entered" if happened else "released: the next copy is sent"
    click.echo(f"{request_id} is {what}" + ("" if changed else " (it was before; nothing was changed)"))
