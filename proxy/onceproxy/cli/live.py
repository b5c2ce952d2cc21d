"""The line at the bottom of a terminal in which `serve` runs: how much was done, and what nobody knows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Literal

from rich.console import Console
from rich.text import Text

from onceproxy.admin.tally import Tally
from onceproxy.terminal import BottomLine, has_colours

EVERY = 1.0  # seconds between two looks


async def keep_live(bottom: BottomLine, tally: Callable[[], Tally], every: float = EVERY) -> None:
    """Show what ``tally`` says, every ``every`` seconds, until cancelled."""
    colours: Literal["auto"] | None = "auto" if has_colours(sys.stderr) else None
    console = Console(file=sys.stderr, highlight=False, color_system=colours)
    try:
        while True:
            bottom.show(drawn(console, tally()))
            await asyncio.sleep(every)
    finally:
        bottom.show("")


def drawn(console: Console, tally: Tally) -> str:
    """Return the line, with the colours that the console has, and narrower than it is."""
    line = Text.assemble(
        ("onceproxy", "bold"),
        f"  requests {tally.requests:,} · executed {tally.executed:,} · replayed {tally.replayed:,} · ",
        (f"unknown {tally.unknown:,}", "bold red" if tally.unknown else ""),
    )
    line.truncate(max(1, console.width - 1), overflow="ellipsis")
    with console.capture() as captured:
        console.print(line, end="", soft_wrap=True)
    return captured.get()
