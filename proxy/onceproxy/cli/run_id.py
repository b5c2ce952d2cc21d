"""`--run-id`: whose receipts a program gets."""

from __future__ import annotations

import click

from onceproxy.cli.environment import check_run_id


def _check(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else check_run_id(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


run_id_option = click.option(
    "--run-id",
    metavar="ID",
    callback=_check,
    help="Whose receipts: runs of one ID get each other's, so a resumed run finds what it did.",
)
