"""`onceproxy rekey`: encrypt stored answers with the first of the keys."""

from __future__ import annotations

import asyncio
import sys

import click

from onceproxy.cli.errors import EXIT_USAGE, startup_errors, stop
from onceproxy.cli.progress import progress, shows_progress
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.store.estimating import about_how_many
from onceproxy.store.operator import operating
from onceproxy.store.rekeying import Rekeyed
from onceproxy.store.rekeying import rekey as rekey_receipts
from onceproxy.store.shared_key import rekey_shared_key
from onceproxy.store_setup import database, keyring_of


@click.command()
@settings_options("config", "database", "data_dir")
@click.option(
    "--rest",
    type=click.FloatRange(min=0, max=100),
    default=1.0,
    show_default=True,
    help="Seconds of pause for each second of work, so that proxies are not held up.",
)
def rekey(settings: Settings, rest: float) -> None:
    """Encrypt all stored answers, and the key of the digests, with the first of encryption.keys.

    That includes what is not encrypted yet. All proxies of the database must know the key before.
    It may run beside them, be interrupted, and be run again: what is done is not done twice. When it has
    ended with 0, no receipt needs the former keys any more. Exits with 1 if there are receipts that can't
    be read with the keys that are here; they are left as they are.
    """
    with startup_errors():
        keyring = keyring_of(settings)
        if keyring.writes is None:
            stop("encryption.keys names no key: there is nothing to encrypt with", code=EXIT_USAGE)

        async def work() -> Rekeyed:
            async with database(settings) as url, operating(url) as connections:
                await rekey_shared_key(connections, keyring)
                total = await about_how_many(connections)
                with progress("receipts looked at") as tell:

                    def told(done: Rekeyed) -> None:
                        tell(done.looked, total)
                        if not shows_progress():
                            _tell(done)

                    return await rekey_receipts(connections, keyring, told, rest=rest)

        done = asyncio.run(work())
    click.echo(
        f"{done.looked} receipts looked at, {done.rewritten} encrypted with {keyring.writes}, "
        f"{len(done.unreadable)} can't be read"
    )
    for request_id, why in done.unreadable:
        click.echo(f"{request_id}: {why}", err=True)
    sys.exit(1 if done.unreadable else 0)


def _tell(done: Rekeyed) -> None:
    click.echo(f"{done.looked} receipts looked at, {done.rewritten} encrypted", err=True)
