"""Replays a second, beside what a pass-through sends: of receipts in memory, and of those that are not."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.asking import Asks, mutations
from benchmarks.counted import Counted, replays
from benchmarks.load import Load, Way
from benchmarks.rounds import Measure, Spread, alternate
from benchmarks.stage import Stage, stage
from benchmarks.tables import Figure, Found, Plot, table_of

CONNECTIONS = (1, 8, 32, 128)
MANY = (32, 128)
SAME, OTHER, READ = "cached, the same bytes", "cached, other bytes", "not cached"
BARE, RECORDED = "bare aiohttp, sending", "mitmproxy, replays"
PROXIES = (("same", ""), ("other", ""), ("read", "limits: {receipt_cache: 0B}\n"))

# What, against what, and what is to be reached.
COMPARED = ((SAME, BARE, 2.5), (OTHER, BARE, 2.5), (READ, BARE, 1.2), (SAME, RECORDED, None))


async def measure() -> Found:
    async with stage() as on:
        sides, recorded = await _sides(on), await peers.mitmproxy_replaying(on)
        spreads: dict[str, dict[int, Spread]] = {}
        for connections in CONNECTIONS:
            loads: dict[str, Measure] = {
                name: Counted(Load(way, asks, connections), on.upstream, times)
                for name, (way, asks, times) in sides.items()
            }
            if recorded is not None and connections == 32:
                loads[RECORDED] = Counted(Load(*recorded, connections), on.upstream, 0)
            for name, spread in (await alternate(loads)).items():
                spreads.setdefault(name, {})[connections] = spread
                print(f"{connections:4} {name}: {spread}", flush=True)
        return _found(spreads, tuple(on.remarks))


async def _sides(on: Stage) -> dict[str, tuple[Way, Asks, int]]:
    target = on.upstream.forward
    # Each has a proxy of its own: what one keeps in memory of its requests pushes out what others left there.
    same, other, read = [await on.ours(name, config) for name, config in PROXIES]
    return {
        SAME: (same.way, await replays(same.way, target), 0),
        OTHER: (other.way, await replays(other.way, target, other=True), 0),
        READ: (read.way, await replays(read.way, target), 0),
        BARE: (await peers.bare(on), mutations(target), 1),
    }


def _found(spreads: dict[str, dict[int, Spread]], remarks: tuple[str, ...]) -> Found:
    figures = tuple(
        Figure.of(f"{one} / {other}, {at} connections", spreads[one][at] / spreads[other][at], aim)
        for one, other, aim in COMPARED
        for at in MANY
        if at in spreads.get(other, {})
    )
    rows = {name: [by.get(at) for at in CONNECTIONS] for name, by in spreads.items()}
    lines = {name: tuple(one.median if one else None for one in row) for name, row in rows.items()}
    table = table_of("Requests a second, by connections:", "", CONNECTIONS, rows)
    plot = Plot("Replays", "connections", "requests / s (median)", CONNECTIONS, lines)
    return Found(figures, (table,), (plot,), remarks)
