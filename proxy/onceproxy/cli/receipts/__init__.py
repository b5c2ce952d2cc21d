"""`onceproxy receipts`: what happened, what did not, and what nobody knows. One file a command."""

from __future__ import annotations

import click

from onceproxy.cli.receipts.export import export
from onceproxy.cli.receipts.listing import list_
from onceproxy.cli.receipts.purge import purge
from onceproxy.cli.receipts.resolve import resolve
from onceproxy.cli.receipts.show import show
from onceproxy.cli.receipts.watch import watch


@click.group()
def receipts() -> None:
    """List, show, watch, resolve, purge and export receipts."""


for command in (list_, show, watch, resolve, purge, export):
    receipts.add_command(command)
