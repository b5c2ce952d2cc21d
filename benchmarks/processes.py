"""Several proxies over one database: does a second or a third one add anything, and do they agree."""

from __future__ import annotations

import asyncio
import os

from benchmarks.asking import Asks, mutations
from benchmarks.counted import replays
from benchmarks.load import Load, Way
from benchmarks.rounds import Measure, Wrong, alternate
from benchmarks.stage import stage
from benchmarks.tables import Figure, Found, table_of
from benchmarks.upstream import Upstream

PROXIES = (1, 2, 3)
CONNECTIONS = 96  # shared out among the proxies


def together(ways: list[Way], asks: Asks, far: Upstream, times: int) -> Measure:
    """Measure loads through all the proxies at once."""
    loads = [Load(way, asks, CONNECTIONS // len(ways)) for way in ways]

    async def measure(seconds: float) -> float:
        before = far.requests()
        rates = await asyncio.gather(*(load(seconds) for load in loads))
        seen = far.requests() - before - 1
        due = sum(load.runs[-1].answers for load in loads) * times
        if seen != due:
            raise Wrong(f"the upstream saw {seen:,} requests where {due:,} were to be sent")
        return sum(rates)

    return measure


async def measure() -> Found:
    async with stage() as on:
        target, first = on.upstream.forward, await on.ours("first")
        more = [await on.ours(f"proxy-{number}", database=first.database) for number in PROXIES[1:]]
        ways = [first.way, *(proxy.way for proxy in more)]
        copies = await replays(ways[0], target)
        measured = await alternate(
            {
                f"{what} {number}": together(ways[:number], asks, on.upstream, times)
                for what, asks, times in (("mutations", mutations(target), 1), ("replays", copies, 0))
                for number in PROXIES
            }
        )
    rows = {what: [measured[f"{what} {number}"] for number in PROXIES] for what in ("mutations", "replays")}
    figures = [
        Figure.of(f"{what}, {number} proxies / 1 proxy", row[at] / row[0])
        for what, row in rows.items()
        for at, number in enumerate(PROXIES)
        if at
    ]
    cores = f"The machine has {os.cpu_count()} cores, for proxies, database, upstream and load."
    caption = f"Requests a second, by proxies over one database, {CONNECTIONS} connections in all:"
    return Found(tuple(figures), (table_of(caption, "", PROXIES, rows),), (), (cores,))
