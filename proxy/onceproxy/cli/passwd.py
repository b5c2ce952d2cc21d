"""`onceproxy passwd`: the hash of a password, for the configuration or the file of users."""

from __future__ import annotations

import secrets

import click

from onceproxy.cli.passwords import checked_name, read_password
from onceproxy.core.passwords import PasswordHash


@click.command()
@click.argument("name", metavar="[NAME]", required=False, callback=checked_name)
def passwd(name: str | None) -> None:
    """Make the hash of a password, which is asked for or, where stdin is no terminal, its first line.

    \b
    onceproxy passwd                        the hash, for password_hash in the configuration
    onceproxy passwd billing-agent >>FILE   a line NAME:HASH, for users_file

    The password is never an argument: other users of the machine see those.
    """
    hashed = str(PasswordHash.of(read_password(new=True), secrets.token_bytes(16)))
    click.echo(hashed if name is None else f"{name}:{hashed}")
