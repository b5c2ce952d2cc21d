"""The command group. Each command is a module of its own, loaded when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from onceproxy.version import __version__

# name: (module, attribute, one line for --help)
COMMANDS = {
    "serve": ("serve", "serve", "Run the proxy until SIGTERM or SIGINT."),
    "run": ("run", "run", "Run a program through a proxy of its own."),
    "env": ("env", "env", "Print the variables that point a program at the proxy."),
    "check": ("check", "check", "Validate the configuration."),
    "explain": ("explain", "explain", "Say what becomes of a request, and why, without sending it."),
    "presets": ("presets", "presets", "List the shipped presets, or print one."),
    "passwd": ("passwd", "passwd", "Make the hash of a user's password."),
    "ca": ("ca", "ca", "The local CA's certificate."),
    "receipts": ("receipts", "receipts", "List, show, watch, resolve, purge and export receipts."),
    "migrate": ("migrate", "migrate", "Create or update the database's tables."),
    "rekey": ("rekey", "rekey", "Encrypt stored answers with the first of the keys."),
    "gc": ("gc", "gc", "Remove what has expired from the database."),
}


class LazyGroup(click.Group):
    """Imports a command's module only when that command is called: `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they are needed."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"onceproxy.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="onceproxy")
def main() -> None:
    """An HTTP proxy that makes side effects happen once.

    Point HTTP_PROXY and HTTPS_PROXY at a running `onceproxy serve`, or let `onceproxy run -- CMD` do it:
    every mutation that is retried is executed once, and answered from its receipt afterwards.
    """
