"""`onceproxy check`: validate the configuration and say what it amounts to."""

from __future__ import annotations

import click

from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings


@click.command()
@settings_options("config")
def check(settings: Settings) -> None:
    """Validate the configuration file and the environment; nothing is started."""
    click.echo(f"fine: listen {settings.listen}, database {_database(settings)}, data in {settings.data_dir}")


def _database(settings: Settings) -> str:
    return "embedded" if settings.database == "embedded" else "by URL"
