"""`onceproxy explain`: what becomes of a request, and why, without sending it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import click

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.explained import Found, document, print_explanation
from onceproxy.cli.settings import settings_options
from onceproxy.config.load import load
from onceproxy.config.model import Settings
from onceproxy.config.routing import route_table
from onceproxy.core.explaining import Asker, Explanation, Former, formers
from onceproxy.core.explaining import explain as explain_request
from onceproxy.core.hygiene import forwardable
from onceproxy.core.messages import BytesBody, RawHeaders, Request, header_values
from onceproxy.core.routes import RouteTable
from onceproxy.ingress.targets import BadTarget, origin_form, parse_absolute, parse_mounts
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
    as_json: bool,
) -> None:
    """Say which route METHOD URL gets and why, and what its identity is made from.

    URL is absolute, or a path under a mount. Nothing is sent. Where the database can be reached, it is told
    what receipt there is, and whether there is one under an identity that other rules gave the request.
    Exits with 1 if the request would be refused.
    """
    raw = _headers(headers)
    request = _request(settings, method.upper(), url, raw, _body(data))
    actions = header_values(raw, "onceproxy-action")
    asker = Asker(user, actions[0] if actions else None)
    table = route_table(settings)
    explanation = explain_request(table, request, asker)
    found = _look(settings, request, explanation, asker, _tables(table, former_file))
    if as_json:
        click.echo(json.dumps(document(request, explanation, found), indent=2, default=str))
    else:
        print_explanation(request, explanation, found)
    sys.exit(1 if explanation.refusal is not None else 0)


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
        url = server.url if server is not None else settings.database
        async with (
            asyncio.timeout(10),
            await Catalogue.open(url, connect_timeout=CONNECT_TIMEOUT) as catalogue,
        ):
            now = explanation.examined.identity.request_id
            known = {
                row.request_id: row
                for row in await catalogue.live([now, *(one.examined.identity.request_id for one in others)])
            }
            alike = await catalogue.recent(request.method, request.url, ALIKE + len(known))
            return Found(others, known, tuple(row for row in alike if row.request_id not in known)[:ALIKE])
    finally:
        if server is not None:
            await server.stop()


def _headers(lines: tuple[str, ...]) -> RawHeaders:
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not line.isprintable():
            raise click.UsageError(f"-H {name}: it must be 'Name: value'")
        headers.append((name.strip().encode("utf-8"), value.strip().encode("utf-8")))
    return tuple(headers)


def _body(data: str | None) -> bytes:
    if data is None:
        return b""
    if data == "@-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return data.encode("utf-8", "surrogateescape")
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise click.UsageError(f"-d {data}: can't be read: {error.strerror}") from None


def _request(settings: Settings, method: str, url: str, headers: RawHeaders, body: bytes) -> Request:
    target = os.fsencode(url)
    try:
        if not target.startswith(b"/"):
            origin, path = parse_absolute(target)
            return Request(method, origin, path, forwardable(headers), BytesBody(body))
        for mount in parse_mounts(dict(settings.mounts)):
            if (path_there := mount.resolve(origin_form(target))) is not None:
                return Request(method, mount.origin, path_there, forwardable(headers), BytesBody(body))
    except BadTarget as error:
        raise click.UsageError(f"URL: {error}") from None
    raise click.UsageError("URL: it must start with http:// or https://, or be a path under a mount")
