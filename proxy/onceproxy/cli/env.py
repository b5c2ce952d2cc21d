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
from onceproxy.cli.run_id import run_id_option
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.ingress.authority import Authority
from onceproxy.serve import ca_directory


@click.command()
@settings_options("config", "listen", "data_dir")
@click.option("--shell", type=click.Choice(SHELLS), default="sh", show_default=True)
@run_id_option
def env(settings: Settings, shell: str, run_id: str | None) -> None:
    """Print the variables that point a program at a running proxy.

    \b
    sh:          eval "$(onceproxy env)"
    fish:        onceproxy env --shell fish | source
    PowerShell:  onceproxy env --shell powershell | Out-String | Invoke-Expression
    """
    if settings.listen.port == 0:
        raise click.UsageError("the proxy's port is not known, as listen has port 0; give --listen HOST:PORT")
    with startup_errors():
        authority = Authority.load_or_create(ca_directory(settings))
        bundle = authority.bundle_with(*roots_named_in(os.environ))
    url = client_url(f"http://{settings.listen}", run_id)
    click.echo(
        format_environment(proxy_environment(url, bundle, authority.certificate_file, os.environ), shell)
    )
