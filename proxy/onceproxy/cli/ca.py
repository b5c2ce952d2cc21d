"""`onceproxy ca`: the local certificate authority."""

from __future__ import annotations

import re

import click

from onceproxy.cli.errors import startup_errors
from onceproxy.cli.settings import settings_options
from onceproxy.config.model import Settings
from onceproxy.ingress.authority import Authority
from onceproxy.ingress.constraints import names_of
from onceproxy.tls_setup import ca_directory, local_authority

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"({_LABEL}\.)*{_LABEL}\.?")


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


def _names(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _HOST.fullmatch(name.lower()):
            raise click.BadParameter(f"{name!r} is no host name, as in api.example.com")
    return tuple(name.lower().removesuffix(".") for name in names)


@ca.command()
@settings_options("config", "data_dir")
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    callback=_names,
    help="A host that it may sign for, with those below it; may be repeated. None: all hosts.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def new(settings: Settings, names: tuple[str, ...], yes: bool) -> None:
    """Make a new CA. Clients have to trust it anew, and running proxies have to be started again.

    With --name it is no use against other hosts, whoever gets hold of its key, and tunnels to those are not
    opened: name them under tls.passthrough.
    """
    if settings.tls.ca.cert is not None:
        raise click.UsageError("tls.ca names the CA; make a new one where that was made, or take tls.ca out")
    if not yes:
        click.confirm("Every client that trusts the present CA has to trust the new one. Go on?", abort=True)
    with startup_errors():
        _show(Authority.create_new(ca_directory(settings), names))


def _load(settings: Settings) -> Authority:
    with startup_errors():
        return local_authority(settings)


def _show(authority: Authority) -> None:
    certificate = authority.certificate
    click.echo(f"subject      {certificate.subject.rfc4514_string()}")
    click.echo(f"sha-256      {authority.fingerprint}")
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if allowed := names_of(certificate):
        click.echo(f"only for     {', '.join(allowed)}")
    click.echo(f"valid        {since:%Y-%m-%d} to {until:%Y-%m-%d}")
    click.echo(f"certificate  {authority.certificate_file}")
    click.echo(f"bundle       {authority.bundle_file}")
