"""`onceproxy presets`: the routes that come with onceproxy."""

from __future__ import annotations

import click

from onceproxy.config.shipped import check_preset, load_preset, preset_file, preset_names


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
def presets(name: str | None) -> None:
    """List the presets, or print one: its routes, and what they rest on."""
    if name is None:
        width = max(map(len, preset_names()))
        for each in preset_names():
            click.echo(f"{each:{width}}  {load_preset(each).about}")
        return
    try:
        check_preset(name)
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}") from None
    click.echo(preset_file(name).read_text("utf-8"), nl=False)
