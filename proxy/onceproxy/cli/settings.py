"""The options that say which configuration a command works with, the same for every command."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from onceproxy.cli.errors import startup_errors
from onceproxy.config.load import load

_OPTIONS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "config": click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Configuration file. Default: ./onceproxy.yaml where it exists.",
    ),
    "listen": click.option("--listen", metavar="HOST:PORT", help="Where clients connect; port 0 picks one."),
    "database": click.option("--database", metavar="URL", help="embedded, or postgresql://…"),
    "data_dir": click.option(
        "--data-dir", metavar="DIR", help="Where the local CA and the embedded database live."
    ),
}


def settings_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the named options and, in their place, the ``settings`` that come of them."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_settings(*args: Any, **options: Any) -> Any:
            given = {name: options.pop(name) for name in names}
            path = given.pop("config", None)
            with startup_errors():
                settings = load(path, environ=os.environ, flags=given)
            return command(*args, settings=settings, **options)

        decorated: Callable[..., Any] = with_settings
        for name in reversed(names):
            decorated = _OPTIONS[name](decorated)
        return decorated

    return decorate
