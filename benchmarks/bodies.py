"""What a request and its answer cost by the size of the request's body."""

from __future__ import annotations

from benchmarks.asking import mutations
from benchmarks.counted import Counted
from benchmarks.load import Load, Way
from benchmarks.rounds import SECONDS, Measure, Spread, alternate
from benchmarks.stage import PASSING, stage
from benchmarks.tables import Figure, Found, Plot, table_of

SIZES = (200, 16 * 1024, 256 * 1024, 2 * 1024 * 1024)  # bytes
CONNECTIONS = 8
DIRECT, PASSED, GUARDED = "no proxy", "guard: false", "guarded"


async def measure() -> Found:
    async with stage() as on:
        target = on.upstream.forward
        guarded, passing = await on.ours("guarded"), await on.ours("passing", PASSING)
        ways = {
            DIRECT: (Way(on.upstream.port), on.upstream.direct),
            PASSED: (passing.way, target),
            GUARDED: (guarded.way, target),
        }
        spreads: dict[str, list[Spread]] = {name: [] for name in ways}
        for size in SIZES:
            sides: dict[str, Measure] = {
                name: Counted(Load(way, mutations(base, size=size), CONNECTIONS), on.upstream)
                for name, (way, base) in ways.items()
            }
            for name, spread in (await alternate(sides, seconds=min(2.0, SECONDS))).items():
                spreads[name].append(spread)
                print(f"{size:9,} {name}: {spread}", flush=True)
    figures = [
        Figure.of(f"guarded / guard: false, bodies of {size:,} bytes", mine / its)
        for size, mine, its in zip(SIZES, spreads[GUARDED], spreads[PASSED], strict=True)
    ]
    caption = f"Requests a second, by bytes of the body, {CONNECTIONS} connections:"
    lines = {
        name: tuple(one.median * size / 1e6 for size, one in zip(SIZES, row, strict=True))
        for name, row in spreads.items()
        if name != DIRECT
    }
    plot = Plot("Bodies of requests", "bytes of the body", "MB / s (median)", SIZES, lines)
    return Found(tuple(figures), (table_of(caption, "", SIZES, spreads),), (plot,))
