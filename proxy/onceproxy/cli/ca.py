"""`onceproxy ca`: the local certificate authority."""

from __future__ import annotations

import click

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.ingress.authority import Authority
from onceproxy.serve import ca_directory


@click.group()
def ca() -> None:
    """The local CA, which clients have to trust for https:// URLs."""


@ca.command()
@settings_options("config", "data_dir")
def path(settings: Settings) -> None:
    """Print the file of the CA's certificate."""
    click.echo(_load(settings).certificate_file)


@ca.command()
@settings_options("config", "data_dir")
def show(settings: Settings) -> None:
    """Show the CA's certificate."""
    _show(_load(settings))


@ca.command()
@settings_options("config", "data_dir")
@click.option("--yes", is_flag=True, help="Do not ask.")
def new(settings: Settings, yes: bool) -> None:
    """Make a new CA. Clients have to trust it anew, and running proxies have to be started again."""
    if not yes:
        click.confirm("Every client that trusts the present CA has to trust the new one. Go on?", abort=True)
    with startup_errors():
        _show(Authority.create_new(ca_directory(settings)))


def _load(settings: Settings) -> Authority:
    with startup_errors():
        return Authority.load_or_create(ca_directory(settings))


def _show(authority: Authority) -> None:
    certificate = authority.certificate
    click.echo(f"subject      {certificate.subject.rfc4514_string()}")
    click.echo(f"sha-256      {authority.fingerprint}")
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    click.echo(f"valid        {since:%Y-%m-%d} to {until:%Y-%m-%d}")
    click.echo(f"certificate  {authority.certificate_file}")
    click.echo(f"bundle       {authority.bundle_file}")
