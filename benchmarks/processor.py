"""Processor time of a request: what the proxy itself works for it, whatever else the machine does."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peers
from benchmarks.asking import Asks, mutations
from benchmarks.counted import replays
from benchmarks.load import Load, Way
from benchmarks.rounds import Spread, alternate
from benchmarks.stage import PASSING, Stage, stage
from benchmarks.tables import Figure, Found, table_of

CONNECTIONS = (1, 32, 128)
GUARDED, PASSED, REPLAYS = "guarded", "guard: false", "replays, the same bytes"
BARE, SQUID = "bare aiohttp", "squid"
COMPARED = ((PASSED, BARE), (PASSED, SQUID), (GUARDED, PASSED), (GUARDED, BARE), (REPLAYS, BARE))


@dataclass(frozen=True, slots=True)
class Worked:
    """A load; measured are the microseconds that processes work for each of its requests."""

    load: Load
    processes: frozenset[int]

    async def __call__(self, seconds: float) -> float:
        """Run the load."""
        before = self._seconds()
        await self.load(seconds)
        return (self._seconds() - before) * 1e6 / self.load.runs[-1].answers

    def _seconds(self) -> float:
        return sum(worked(process) for process in self.processes)


def worked(process: int) -> float:
    """Return the seconds that all threads of a process have worked."""
    nanoseconds = 0
    for thread in Path(f"/proc/{process}/task").iterdir():
        nanoseconds += int((thread / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def below(process: int) -> set[int]:
    """Return the processes that a process has started, and those that these have, and so on."""
    started = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return {int(one) for one in started}.union(*(below(int(one)) for one in started))


async def measure() -> Found:
    async with stage() as on:
        loads = await _loads(on)
        spreads: dict[str, dict[int, Spread]] = {}
        for connections in CONNECTIONS:
            sides = {
                name: Worked(Load(way, asks, connections), processes)
                for name, (way, asks, processes) in loads.items()
            }
            for name, spread in (await alternate(sides)).items():
                spreads.setdefault(name, {})[connections] = spread
                print(f"{connections:4} {name}: {spread} µs", flush=True)
        return _found(spreads, tuple(on.remarks))


async def _loads(on: Stage) -> dict[str, tuple[Way, Asks, frozenset[int]]]:
    """Start what is measured: how each is reached, what it is asked, and the processes that it has."""
    target = on.upstream.forward
    loads: dict[str, tuple[Way, Asks, frozenset[int]]] = {}

    async def add(name: str, starting: Awaitable[Way | None], asks: Asks | None = None) -> None:
        before = below(os.getpid())
        if (way := await starting) is not None:
            processes = frozenset(below(os.getpid()) - before)
            loads[name] = (way, asks or await replays(way, target), processes)

    await add(PASSED, _ours(on, "passing", PASSING), mutations(target))
    await add(GUARDED, _ours(on, "guarded"), mutations(target))
    await add(REPLAYS, _ours(on, "replaying"))
    await add(BARE, peers.bare(on), mutations(target))
    await add(SQUID, peers.squid(on), mutations(target))
    return loads


async def _ours(on: Stage, name: str, config: str = "") -> Way:
    return (await on.ours(name, config)).way


def _found(spreads: dict[str, dict[int, Spread]], remarks: tuple[str, ...]) -> Found:
    figures = tuple(
        Figure.of(f"{one} / {other}, {at} connections", spreads[one][at] / spreads[other][at])
        for one, other in COMPARED
        for at in CONNECTIONS
        if other in spreads
    )
    rows: dict[str, list[Spread | None]] = {
        name: [by.get(at) for at in CONNECTIONS] for name, by in spreads.items()
    }
    caption = "Microseconds of processor time a request, by connections; Postgres, upstream and load aside:"
    return Found(figures, (table_of(caption, "", CONNECTIONS, rows),), (), remarks)
