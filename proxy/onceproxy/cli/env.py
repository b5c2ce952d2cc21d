"""`onceproxy env`: the variables for a program that uses a proxy which is already running."""

from __future__ import annotations

import os

import click

from onceproxy.cli.environment import (
    SHELLS,
    client_url,
    format_environment,
    proxy_environment,
    roots_named_in,
)
from onceproxy.cli.errors import startup_errors
from onceproxy.cli.passwords import checked_name, read_password
from onceproxy.cli.run_id import run_id_option
from onceproxy.cli.settings import settings_options
from onceproxy.config.given_secrets import given_secret
from onceproxy.config.model import Settings
from onceproxy.tls_setup import local_authority


@click.command()
@settings_options("config", "listen", "data_dir")
@click.option("--shell", type=click.Choice(SHELLS), default="sh", show_default=True)
@run_id_option
@click.option("--user", metavar="NAME", callback=checked_name, help="Who uses it, where the proxy has users.")
@click.option(
    "--with-password",
    is_flag=True,
    help="Put the user's password into the URLs: from where the configuration has it, or else asked for.",
)
def env(settings: Settings, shell: str, run_id: str | None, user: str | None, with_password: bool) -> None:
    """Print the variables that point a program at a running proxy.

    A password is in them only with --with-password: what is printed may end up in a log.

    \b
    sh:          eval "$(onceproxy env)"
    fish:        onceproxy env --shell fish | source
    PowerShell:  onceproxy env --shell powershell | Out-String | Invoke-Expression
    """
    if settings.listen.port == 0:
        raise click.UsageError("the proxy's port is not known, as listen has port 0; give --listen HOST:PORT")
    with startup_errors():
        authority = local_authority(settings)
        bundle = authority.bundle_with(*roots_named_in(os.environ))
    listening = f"http://{settings.listen}"
    name = _user(settings, run_id, user)
    if name is None:
        url = client_url(listening, run_id)
    else:
        url = client_url(listening, name, _password(settings, name) if with_password else None)
    click.echo(
        format_environment(proxy_environment(url, bundle, authority.certificate_file, os.environ), shell)
    )


def _user(settings: Settings, run_id: str | None, user: str | None) -> str | None:
    """Return the user that is meant: the only one there is, if none is named."""
    if user is not None and run_id is not None:
        raise click.UsageError("--run-id is a name where the proxy has no users; give one of the two")
    names = [section.name for section in settings.users]
    if user is not None or not (names or settings.users_file):
        return user
    if run_id is not None:
        raise click.UsageError("--run-id: the proxy has users, and a run is one of them; give --user NAME")
    if len(names) != 1 or settings.users_file is not None:
        raise click.UsageError("the proxy asks who uses it; give --user NAME")
    return names[0]


def _password(settings: Settings, name: str) -> str:
    for section in settings.users:
        if section.name == name and section.password_hash is None:
            try:
                return given_secret(section.password_env, section.password_file, os.environ) or ""
            except ValueError as error:
                raise click.UsageError(f"--with-password: {name}: {error}") from None
    return read_password()
