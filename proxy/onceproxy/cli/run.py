"""`onceproxy run -- CMD`: one program, behind a proxy of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
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
from onceproxy.serve import GRACE, Guest, Proxy, start

RUN = "run"  # CMD's name where the proxy has users, and no --run-id gives another
ANY_PORT = Address("127.0.0.1", 0)
HURRIED_GRACE = 5.0  # seconds for requests in flight after a signal; `docker stop` kills after 10


# What comes after CMD is CMD's, with and without `--`.
@click.command(context_settings={"allow_interspersed_args": False})
@settings_options("config", "listen", "insecure_listen", "database", "data_dir")
@run_id_option
@click.argument("command", metavar="CMD [ARG]...", nargs=-1, required=True, type=click.UNPROCESSED)
def run(settings: Settings, run_id: str | None, command: tuple[str, ...]) -> None:
    """Start a proxy, run CMD with its environment set, and exit with CMD's code.

    Where the configuration has users, CMD is one more, named by --run-id, with a password made for it.
    """
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
            guest = _guest(settings, run_id)
            proxy = await start(settings, guest)
    except asyncio.CancelledError:
        if child.signalled is None:
            raise
        return killed_by(child.signalled)
    grace = HURRIED_GRACE
    try:
        environ = await asyncio.to_thread(_environment, settings, proxy, run_id, guest)
        code = await child.run(environ)
        grace = GRACE if child.signalled is None else HURRIED_GRACE
    finally:
        await proxy.stop(grace)
    return code


def _guest(settings: Settings, run_id: str | None) -> Guest | None:
    """Return the user that CMD is where the proxy has users: one of its own, for as long as it runs."""
    if not settings.users and settings.users_file is None:
        return None
    return Guest(run_id or RUN, secrets.token_urlsafe(18))


def _environment(settings: Settings, proxy: Proxy, run_id: str | None, guest: Guest | None) -> dict[str, str]:
    authority = proxy.authority
    bundle = authority.bundle_with(*roots_named_in(os.environ))
    url = (
        client_url(proxy.url, run_id) if guest is None else client_url(proxy.url, guest.name, guest.password)
    )
    changes = proxy_environment(url, bundle, authority.certificate_file, os.environ)
    # What opens the proxy to others, or its receipts to anybody, is none of CMD's business.
    kept_back = {settings.admin.token_env, settings.tls.ca.password_env}
    kept_back.update(user.password_env for user in settings.users)
    kept_back.update(certificate.password_env for certificate in settings.tls.client_certificates)
    return {
        name: value for name, value in apply_changes(changes, os.environ).items() if name not in kept_back
    }
