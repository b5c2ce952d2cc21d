"""`onceproxy passwd`: the hash of a password, for the configuration or the file of users."""

from __future__ import annotations

import secrets
import sys

import click

from onceproxy.core.passwords import PasswordHash, check_password
from onceproxy.core.users import check_user_name


def _name(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else check_user_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


@click.command()
@click.argument("name", metavar="[NAME]", required=False, callback=_name)
def passwd(name: str | None) -> None:
    """Make the hash of a password, which is asked for or, where stdin is no terminal, its first line.

    \b
    onceproxy passwd                        the hash, for password_hash in the configuration
    onceproxy passwd billing-agent >>FILE   a line NAME:HASH, for users_file

    The password is never an argument: other users of the machine see those.
    """
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.buffer.readline().decode("utf-8", "surrogateescape").rstrip("\r\n")
    try:
        password.encode("utf-8")
        hashed = str(PasswordHash.of(check_password(password), secrets.token_bytes(16)))
    except UnicodeEncodeError:
        raise click.UsageError("the password must be UTF-8") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(hashed if name is None else f"{name}:{hashed}")
