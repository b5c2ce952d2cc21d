"""Measuring side by side: what is compared takes turns in one run, so that a busy machine is busy for all."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 3
SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))  # shorter ones, to try a part

Measure = Callable[[float], Awaitable[float]]
"""Works for so many seconds and returns a figure, such as requests a second."""


class Wrong(Exception):
    """An error or a wrong answer: what was measured is worth nothing, and the run ends."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Figures of one thing, one a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.values)

    def __truediv__(self, other: Spread) -> Spread:
        """Return the ratios, round by round."""
        return Spread(tuple(mine / its for mine, its in zip(self.values, other.values, strict=True)))

    def __sub__(self, other: Spread) -> Spread:
        """Return the differences, round by round."""
        return Spread(tuple(mine - its for mine, its in zip(self.values, other.values, strict=True)))

    def __str__(self) -> str:
        """Show them as min–median–max."""
        return "–".join(shown(value) for value in (min(self.values), self.median, max(self.values)))


def shown(value: float) -> str:
    """Show a figure with three digits that count; from a thousand on, all before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


async def alternate(
    sides: Mapping[str, Measure], *, rounds: int = ROUNDS, seconds: float = SECONDS, warm_up: float = 0.3
) -> dict[str, Spread]:
    """Measure each side for some seconds, once a round; every other round goes backwards.

    Raises:
        Wrong: a side gave a wrong answer, or failed.
    """
    for measure in sides.values():
        await measure(warm_up)
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(await sides[name](seconds))
    return {name: Spread(tuple(values)) for name, values in found.items()}


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine did beside the benchmarks: the load average, and the cores that others kept busy."""

    load: float
    others: float

    def __str__(self) -> str:
        cores = os.cpu_count()
        return f"load average {self.load:.1f}, other things kept {self.others:.1f} of {cores} cores busy"


async def look_at_machine(seconds: float = 1.0) -> Machine:
    """Watch the machine while nothing is measured."""
    before, began = _busy(), time.monotonic()
    await asyncio.sleep(seconds)
    return Machine(os.getloadavg()[0], (_busy() - before) / (time.monotonic() - began))


def _busy() -> float:
    """Return the seconds that all cores together have worked since the start of the machine."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:  # no Linux
        return 0.0
    idle = int(fields[3]) + int(fields[4])
    return (sum(int(field) for field in fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")
