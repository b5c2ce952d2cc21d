"""A bar for what takes its time: on a terminal only, and gone when it has ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from onceproxy.terminal import has_colours, is_lively


class Tell(Protocol):
    """Is told how far it has come."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """``done`` of ``total`` are done; None: nobody knows of how many."""
        ...


def shows_progress(*, beside_output: bool = False) -> bool:
    """Say whether somebody would see a bar.

    ``beside_output``: the command writes to stdout meanwhile, where that is a terminal a bar would be in its
    way.
    """
    return is_lively(sys.stderr) and not (beside_output and sys.stdout.isatty())


@contextmanager
def progress(words: str, *, beside_output: bool = False) -> Iterator[Tell]:
    """Show how far it has come, if somebody would see it; ``words`` say what is counted."""
    if not shows_progress(beside_output=beside_output):
        yield _nothing
        return
    columns = (
        TextColumn("{task.completed:,.0f} {task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    colours: Literal["auto"] | None = "auto" if has_colours(sys.stderr) else None
    console = Console(stderr=True, color_system=colours)
    # Never stdout: it may be a file that somebody wants to have.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(words, total=None)

        def tell(done: int, total: int | None = None) -> None:
            # An estimate may be too low: a bar that is full too early says less than one that moves.
            bar.update(task, completed=done, total=None if total is None else max(done, total))

        yield tell


def _nothing(done: int, total: int | None = None) -> None:
    """Show nothing."""
