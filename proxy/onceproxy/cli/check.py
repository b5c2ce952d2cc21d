"""`onceproxy check`: validate the configuration and say what it amounts to."""

from __future__ import annotations

import click

from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.config.routing import route_table
from onceproxy.config.warnings import warnings


@click.command()
@settings_options("config", "insecure_listen")
def check(settings: Settings) -> None:
    """Validate the configuration file and the environment; nothing is started.

    Warnings go to stderr and do not change the exit code.
    """
    for warning in warnings(settings):
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"fine: listen {settings.listen}, database {_database(settings)}, data in {settings.data_dir}")
    click.echo(f"      {_routes(settings)}")


def _database(settings: Settings) -> str:
    return "embedded" if settings.database == "embedded" else "by URL"


def _routes(settings: Settings) -> str:
    own, shipped = len(settings.routes), len(settings.presets)
    if not own and not shipped:
        return "no routes: every mutation is guarded as `defaults` say"
    count = len(route_table(settings).routes)
    presets = f", {count - own} from {', '.join(settings.presets)}" if shipped else ""
    return f"{count} route{'s' if count != 1 else ''}: {own} of the file{presets}"
