"""Names and passwords of users, as commands take them."""

from __future__ import annotations

import sys

import click

from onceproxy.core.passwords import check_password
from onceproxy.core.users import check_user_name


def checked_name(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return the name of a user, if one was given. Raises ``click.BadParameter``."""
    try:
        return value if value is None else check_user_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def read_password(*, new: bool = False) -> str:
    """Return the password that is typed, twice if it is ``new``; where stdin is no terminal, its first line.

    Raises:
        click.UsageError: no client can send it.
    """
    if sys.stdin.isatty():
        text: str = click.prompt("Password", hide_input=True, confirmation_prompt=new, err=True)
    else:
        text = sys.stdin.buffer.readline().decode("utf-8", "surrogateescape").rstrip("\r\n")
    try:
        text.encode("utf-8")
        return check_password(text)
    except UnicodeEncodeError:
        raise click.UsageError("the password must be UTF-8") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
