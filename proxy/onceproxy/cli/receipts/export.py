"""`onceproxy receipts export`: receipts or the audit trail as a file, for audits."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TextIO

import click

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.progress import progress
from onceproxy.cli.receipts.arguments import MomentType
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.core.states import State
from onceproxy.store.exporting import Document, Exported, Extent, exporting
from onceproxy.store_setup import database

TOLD = 500  # documents after which a bar is told of them
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that spreadsheets take for a formula (OWASP, "CSV Injection")."""


@click.command()
@settings_options("config", "database", "data_dir")
@click.option("--events", is_flag=True, help="The audit trail, in place of the receipts.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="jsonl: a JSON object a line.",
)
@click.option(
    "--since",
    type=MomentType(),
    help="First claimed, or happened, then or later: 2026-11-01T00:00Z; or so long ago: 30d.",
)
@click.option("--until", type=MomentType(), help="Only what is from before.")
@click.option("--state", type=click.Choice([s.value for s in State if s is not State.ABSENT]))
@click.option("--route", help="Only receipts of this route.")
@click.option("--host", help="Only receipts of requests to this host.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; stdout if left out."
)
def export(
    settings: Settings,
    events: bool,
    form: str,
    since: datetime | None,
    until: datetime | None,
    state: str | None,
    route: str | None,
    host: str | None,
    output: Path | None,
) -> None:
    """Write receipts, or the audit trail, as JSON Lines or CSV.

    All of it is as it was at one moment, oldest first. Bodies, headers and credentials are not in it; events
    of receipts that are gone are. A file is put in its place when it is whole. In CSV, what a spreadsheet
    would take for a formula begins with an apostrophe.
    """
    if events and (state or route or host):
        raise click.UsageError("--state, --route and --host are about receipts; leave them out with --events")
    what = Exported.EVENTS if events else Exported.RECEIPTS
    extent = Extent(since, until, State(state) if state else None, route, host)

    async def write(file: TextIO) -> int:
        put = _json_lines(file) if form == "jsonl" else _csv(file)
        count = 0
        with progress(f"{what} written", beside_output=output is None) as tell:
            async with database(settings) as url, exporting(url, what, extent) as documents:
                async for document in documents:
                    put(document)
                    count += 1
                    if count % TOLD == 0:
                        tell(count)
        return count

    with startup_errors():
        try:
            with _opened(output) as file:
                count = asyncio.run(write(file))
        except OSError as error:
            raise click.ClickException(f"can't write {output or 'it'}: {error.strerror or error}") from error
    click.echo(f"{count} {what}" + (f" in {output}" if output else ""), err=True)


def _json_lines(file: TextIO) -> Callable[[Document], None]:
    def put(document: Document) -> None:
        file.write(json.dumps(document, ensure_ascii=False) + "\n")

    return put


def _csv(file: TextIO) -> Callable[[Document], None]:
    writer = csv.writer(file)
    head: list[str] = []

    def put(document: Document) -> None:
        if not head:
            head.extend(document)
            writer.writerow(head)
        writer.writerow([_cell(document[name]) for name in head])

    return put


def _cell(value: object) -> object:
    if isinstance(value, list):
        value = json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, str) and value.startswith(FORMULAS):
        return f"'{value}"
    return value


def _opened(output: Path | None) -> AbstractContextManager[TextIO]:
    return nullcontext(sys.stdout) if output is None else _Whole(output)


class _Whole:
    """A file that is in its place when all of it is written, and not at all otherwise."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.part")

    def __enter__(self) -> TextIO:
        self._file = self._beside.open("x", encoding="utf-8", newline="")
        self._beside.chmod(0o600)
        return self._file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if kind is None:
            self._beside.replace(self._path)
        else:
            self._beside.unlink()
