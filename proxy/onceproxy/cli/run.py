"""`onceproxy run -- CMD`: one program, behind a proxy of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import click
import uvloop

from onceproxy import logs
from onceproxy.cli.child import Child, killed_by
from onceproxy.cli.environment import apply_changes, client_url, proxy_environment, roots_named_in
from onceproxy.cli.errors import startup_errors
from onceproxy.cli.run_id import run_id_option
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Address, Settings
from onceproxy.ingress.authority import Authority
from onceproxy.serve import GRACE, Proxy, start

ANY_PORT = Address("127.0.0.1", 0)
HURRIED_GRACE = 5.0  # seconds for requests in flight after a signal; `docker stop` kills after 10


# What comes after CMD is CMD's, with and without `--`.
@click.command(context_settings={"allow_interspersed_args": False})
@settings_options("config", "listen", "insecure_listen", "database", "data_dir")
@run_id_option
@click.argument("command", metavar="CMD [ARG]...", nargs=-1, required=True, type=click.UNPROCESSED)
def run(settings: Settings, run_id: str | None, command: tuple[str, ...]) -> None:
    """Start a proxy, run CMD with its environment set, and exit with CMD's code."""
    logs.configure(logging.WARNING)
    with startup_errors(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_run(_with_ports_of_its_own(settings), run_id, command))
    sys.exit(code)


def _with_ports_of_its_own(settings: Settings) -> Settings:
    """Use free ports where none were asked for, so that several runs can go on at once."""
    update: dict[str, object] = {}
    if "listen" not in settings.model_fields_set:
        update["listen"] = ANY_PORT
    if "listen" not in settings.admin.model_fields_set:
        update["admin"] = settings.admin.model_copy(update={"listen": ANY_PORT})
    return settings.model_copy(update=update)


async def _run(settings: Settings, run_id: str | None, command: tuple[str, ...]) -> int:
    child = Child(command)
    child.take_signals()
    try:
        with child.interruptible():
            proxy = await start(settings)
    except asyncio.CancelledError:
        if child.signalled is None:
            raise
        return killed_by(child.signalled)
    grace = HURRIED_GRACE
    try:
        environ = await asyncio.to_thread(_environment, proxy, run_id)
        code = await child.run(environ)
        grace = GRACE if child.signalled is None else HURRIED_GRACE
    finally:
        await proxy.stop(grace)
    return code


def _environment(proxy: Proxy, run_id: str | None) -> dict[str, str]:
    authority = Authority.load_or_create(proxy.ca_directory)
    bundle = authority.bundle_with(*roots_named_in(os.environ))
    url = client_url(proxy.url, run_id)
    changes = proxy_environment(url, bundle, authority.certificate_file, os.environ)
    return apply_changes(changes, os.environ)
