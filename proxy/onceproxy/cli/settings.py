"""The options that say which configuration a command works with, the same for every command."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from onceproxy.cli.errors import startup_errors
from onceproxy.config.load import file_of, load
from onceproxy.config.model import Settings
from onceproxy.config.reload import Stamp, stamp_of

_OPTIONS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "config": click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Configuration file. Default: ./onceproxy.yaml where it exists.",
    ),
    "listen": click.option("--listen", metavar="HOST:PORT", help="Where clients connect; port 0 picks one."),
    "insecure_listen": click.option(
        "--insecure-listen",
        flag_value="true",
        default=None,
        help="Let other machines in without users, and to the admin listener without a token.",
    ),
    "database": click.option("--database", metavar="URL", help="embedded, or postgresql://…"),
    "data_dir": click.option(
        "--data-dir", metavar="DIR", help="Where the local CA, the spool and the embedded database live."
    ),
    "workers": click.option(
        "--workers", metavar="N", help="Processes that serve; more than one use more than one core."
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where the settings of a command come from, to read them again.

    ``stamp`` was taken before they were read, so that no change after that is missed. ``serving``: a proxy is
    to run with them.
    """

    path: Path | None
    flags: Mapping[str, str | None]
    stamp: Stamp | None
    serving: bool = False

    @property
    def file(self) -> Path:
        """The file, there or not."""
        return file_of(self.path, os.environ)

    def load(self) -> Settings:
        """Read the settings once more.

        Raises:
            ConfigError: they can't be used.
        """
        return load(self.path, environ=os.environ, flags=self.flags, serving=self.serving)


def settings_options(*names: str, again: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the named options and, in their place, the ``settings`` that come of them.

    ``again``: it also gets their ``source``.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_settings(*args: Any, **options: Any) -> Any:
            given = {name: options.pop(name) for name in names}
            path = given.pop("config", None)
            source = Source(path, given, stamp_of(file_of(path, os.environ)), "insecure_listen" in names)
            with startup_errors():
                settings = source.load()
            if again:
                options["source"] = source
            return command(*args, settings=settings, **options)

        decorated: Callable[..., Any] = with_settings
        for name in reversed(names):
            decorated = _OPTIONS[name](decorated)
        return decorated

    return decorate
