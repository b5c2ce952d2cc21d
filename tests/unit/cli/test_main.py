"""The group: what is listed can be run, and is only loaded then."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import Result

from onceproxy.cli import main
from onceproxy.cli.main import COMMANDS
from onceproxy.version import __version__

HEAVY = ("aiohttp", "asyncpg", "cryptography", "pydantic", "uvloop", "yaml")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_loads_no_command(option: str) -> None:
    program = (
        f"import sys; sys.argv = ['onceproxy', {option!r}]\n"
        "from onceproxy.cli import main\n"
        "try: main()\n"
        f"finally: print('loaded', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.endswith("loaded []\n")


def test_the_version_is_told(onceproxy: Callable[..., Result]) -> None:
    assert onceproxy("--version").output == f"onceproxy, version {__version__}\n"


def test_an_unknown_command_is_wrong_usage(onceproxy: Callable[..., Result]) -> None:
    assert onceproxy("serv").exit_code == 2
