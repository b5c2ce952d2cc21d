"""`onceproxy explain`: what becomes of a request, and why, without sending it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import click
from rich.text import Text

from onceproxy.cli.compared import comparison_document, comparison_tree
from onceproxy.cli.destination import Destination, destination
from onceproxy.cli.errors import startup_errors
from onceproxy.cli.explained import Found, document, explanation_tree, print_tree
from onceproxy.cli.given import Given, body_of, changed, from_file, headers_of
from onceproxy.cli.settings import settings_options
from onceproxy.config.load import load
from onceproxy.config.model import Settings
from onceproxy.config.routing import egress_rules, route_table
from onceproxy.core.comparing import Asked, compare
from onceproxy.core.explaining import Asker, Explanation, Former, formers
from onceproxy.core.explaining import explain as explain_request
from onceproxy.core.masking import shown_url
from onceproxy.core.messages import Request
from onceproxy.core.routes import RouteTable
from onceproxy.store.catalogue import Catalogue
from onceproxy.store.embedded import embedded_runs, start_embedded
from onceproxy.store.errors import StoreError

CONNECT_TIMEOUT = 3.0  # seconds; receipts are an extra here
ALIKE = 5


@click.command()
@click.argument("method", metavar="METHOD")
@click.argument("url", metavar="URL")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="May be repeated.")
@click.option("-d", "--data", "data", metavar="BODY|@FILE", help="The body; @- is stdin. No type is assumed.")
@click.option("--user", help="The proxy's user.")
@click.option(
    "--former",
    "former_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A former configuration, to see what has changed.",
)
@click.option("--against", metavar="FILE", help="A second request, as HTTP/1.1 writes it; - is stdin.")
@click.option("--against-url", metavar="URL", help="The second request's URL.")
@click.option(
    "--against-header",
    "against_headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="In the place of the first's; an empty value removes it. May be repeated.",
)
@click.option("--against-data", metavar="BODY|@FILE", help="The second request's body.")
@click.option("--against-user", help="The second request's user.")
@click.option("--resolve", is_flag=True, help="Look the host's name up, to judge its addresses, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@settings_options("config", "database", "data_dir")
def explain(
    settings: Settings,
    method: str,
    url: str,
    headers: tuple[str, ...],
    data: str | None,
    user: str | None,
    former_file: Path | None,
    against: str | None,
    against_url: str | None,
    against_headers: tuple[str, ...],
    against_data: str | None,
    against_user: str | None,
    resolve: bool,
    as_json: bool,
) -> None:
    """Say which route METHOD URL gets and why, and what its identity is made from.

    URL is absolute, or a path under a mount. Nothing is sent, and no name looked up without --resolve.
    Where the database can be reached, it is told what receipt there is, and whether there is one under an
    identity that other rules gave the request.
    Exits with 1 if the request would be refused.

    With --against, or any --against-..., a second request is compared with it: whether it is the same action,
    and what makes the difference. It is the file's, or the first one with the parts changed that are given.
    """
    given = Given(method.upper(), url, headers_of(headers, "-H"), body_of(data, "-d"), user)
    table = route_table(settings)
    asked = _asked(table, settings, given, "URL")
    found = _look(settings, asked.request, asked.explanation, asked.asker, _tables(table, former_file))
    second = None
    if against is not None or against_headers or (against_url, against_data, against_user) != (None,) * 3:
        base = given if against is None else from_file(against, given)
        lines = headers_of(against_headers, "--against-header")
        other = changed(base, against_url, lines, against_data, against_user)
        option = f"--against {against}" if against is not None and against_url is None else "--against-url"
        second = _asked(table, settings, other, option)
    there = destination(egress_rules(settings), asked.request.origin, resolve=resolve)
    _tell(table, asked, found, there, second, as_json=as_json)
    sys.exit(1 if asked.explanation.refusal is not None else 0)


def _asked(table: RouteTable, settings: Settings, given: Given, option: str) -> Asked:
    request = given.request(settings, option)
    return Asked(request, given.asker, explain_request(table, request, given.asker))


def _tell(
    table: RouteTable,
    asked: Asked,
    found: Found,
    there: Destination,
    second: Asked | None,
    *,
    as_json: bool,
) -> None:
    comparison = compare(table, asked, second) if second is not None else None
    if as_json:
        members = document(asked.request, asked.explanation, found)
        members["egress"] = there.document()
        if second is not None and comparison is not None:
            members["against"] = comparison_document(second, comparison)
        click.echo(json.dumps(members, indent=2, default=str))
        return
    tree = explanation_tree(asked.request, asked.explanation, found)
    branch = tree.add(Text(there.words, overflow="fold"))
    for line in there.lines:
        branch.add(Text(line, overflow="fold"))
    print_tree(tree)
    if second is not None and comparison is not None:
        print_tree(comparison_tree(asked, second, comparison))


def _tables(table: RouteTable, former_file: Path | None) -> list[tuple[str, RouteTable]]:
    if former_file is None:
        return [("these rules", table)]
    with startup_errors():
        former = load(former_file, environ=os.environ)
    return [(str(former_file), route_table(former)), ("these rules", table)]


def _look(
    settings: Settings,
    request: Request,
    explanation: Explanation,
    asker: Asker,
    tables: list[tuple[str, RouteTable]],
) -> Found:
    if explanation.examined is None:
        return Found()
    others = formers(explanation, request, asker, tables)
    if settings.database == "embedded" and not embedded_runs(settings.data_dir):
        return Found(others, unavailable="the embedded database does not run; start the proxy")
    try:
        return asyncio.run(_receipts(settings, request, explanation, others))
    except (StoreError, TimeoutError) as error:
        return Found(others, unavailable=str(error))


async def _receipts(
    settings: Settings, request: Request, explanation: Explanation, others: list[Former]
) -> Found:
    assert explanation.examined is not None
    server = await start_embedded(settings.data_dir) if settings.database == "embedded" else None
    try:
        url = server.url if server is not None else settings.database_direct or settings.database
        async with (
            asyncio.timeout(10),
            await Catalogue.open(url, connect_timeout=CONNECT_TIMEOUT) as catalogue,
        ):
            now = explanation.examined.identity.request_id
            known = {
                row.request_id: row
                for row in await catalogue.live([now, *(one.examined.identity.request_id for one in others)])
            }
            # As receipts have it: see `action_of`.
            url = shown_url(request, explanation.examined.secrets)
            alike = await catalogue.recent(request.method, url, ALIKE + len(known))
            return Found(others, known, tuple(row for row in alike if row.request_id not in known)[:ALIKE])
    finally:
        if server is not None:
            await server.stop()
