"""Requests a second as a forward proxy for http://, against others and against ourselves without a guard."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.asking import Asks, mutations, reads
from benchmarks.counted import Counted
from benchmarks.load import Load, Way
from benchmarks.rounds import Measure, Spread, alternate
from benchmarks.stage import PASSING, Stage, stage
from benchmarks.tables import Figure, Found, Plot, table_of

CONNECTIONS = (1, 8, 32, 128)
MANY = (32, 128)
DIRECT, GUARDED, PASSED, READS = "no proxy", "guarded", "guard: false", "reads"
READS_PASSED, READS_SQUID = "reads, guard: false", "reads, squid"
GUARDED_BY_TWO, PASSED_BY_TWO = "guarded, 2 workers", "guard: false, 2 workers"
BARE, SQUID, REUSING = "bare aiohttp", "squid", "squid, reusing"
TINYPROXY, PROXY_PY, MITMPROXY = "tinyproxy", "proxy.py", "mitmproxy"

# What, against what, at how many connections, and what is to be reached.
COMPARED = (
    (PASSED, SQUID, MANY, 1.3),
    (PASSED, REUSING, MANY, None),
    (PASSED, PROXY_PY, MANY, None),
    (GUARDED, PASSED, MANY, 0.5),
    (GUARDED, BARE, MANY, 1.1),
    (GUARDED, SQUID, MANY, 1.0),
    (GUARDED, REUSING, MANY, None),
    (GUARDED, MITMPROXY, (32,), 9.0),
    (PASSED, TINYPROXY, (32,), None),
    (GUARDED, TINYPROXY, (32,), None),
    (READS, READS_PASSED, MANY, None),
    (READS, READS_SQUID, MANY, None),
    (PASSED_BY_TWO, PASSED, MANY, None),
    (PASSED_BY_TWO, BARE, MANY, None),
    (PASSED_BY_TWO, SQUID, MANY, None),
    (PASSED_BY_TWO, REUSING, MANY, None),
    (GUARDED_BY_TWO, GUARDED, MANY, None),
    (GUARDED_BY_TWO, PASSED_BY_TWO, MANY, None),
    (GUARDED_BY_TWO, BARE, MANY, None),
    (GUARDED_BY_TWO, SQUID, MANY, None),
    (GUARDED_BY_TWO, MITMPROXY, (32,), None),
)


class Sides:
    """What is compared: how it is reached, what it is asked, and at which numbers of connections."""

    def __init__(self, on: Stage) -> None:
        self._on = on
        self._sides: list[tuple[str, Way, Asks, tuple[int, ...], int | None]] = []

    def add(
        self, name: str, way: Way | None, asks: Asks, at: tuple[int, ...] = CONNECTIONS, times: int | None = 1
    ) -> None:
        """Add one, if it is there. ``times``: how often the upstream sees each request; None: who knows."""
        if way is not None:
            self._sides.append((name, way, asks, at, times))

    def at(self, connections: int) -> dict[str, Measure]:
        """Return the loads of so many connections."""
        loads: dict[str, Measure] = {}
        for name, way, asks, at, times in self._sides:
            if connections in at:
                load = Load(way, asks, connections)
                loads[name] = load if times is None else Counted(load, self._on.upstream, times)
        return loads


async def measure() -> Found:
    async with stage() as on:
        sides = await _sides(on)
        spreads: dict[str, dict[int, Spread]] = {}
        for connections in CONNECTIONS:
            for name, spread in (await alternate(sides.at(connections))).items():
                spreads.setdefault(name, {})[connections] = spread
                print(f"{connections:4} {name}: {spread}", flush=True)
        return _found(spreads, tuple(on.remarks))


async def _sides(on: Stage) -> Sides:
    target = on.upstream.forward
    guarded, passing = await on.ours("guarded"), await on.ours("passing", PASSING)
    sides = Sides(on)
    sides.add(DIRECT, Way(on.upstream.port), mutations(on.upstream.direct), (32,))
    sides.add(PASSED, passing.way, mutations(target))
    sides.add(GUARDED, guarded.way, mutations(target))
    passing_two = await on.ours("passing-two", PASSING, workers=2)
    sides.add(PASSED_BY_TWO, passing_two.way, mutations(target), MANY)
    guarded_two = await on.ours("guarded-two", workers=2)
    sides.add(GUARDED_BY_TWO, guarded_two.way, mutations(target), MANY)
    sides.add(READS, guarded.way, reads(target), MANY)
    sides.add(READS_PASSED, passing.way, reads(target), MANY)
    sides.add(BARE, await peers.bare(on), mutations(target))
    squid = await peers.squid(on)
    sides.add(SQUID, squid, mutations(target))
    sides.add(READS_SQUID, squid, reads(target), MANY)
    sides.add(REUSING, await peers.squid(on, reusing=True), mutations(target), MANY)
    sides.add(PROXY_PY, await peers.proxy_py(on), mutations(target), MANY)
    sides.add(TINYPROXY, await peers.tinyproxy(on), mutations(target), (32,), None)
    sides.add(MITMPROXY, await peers.mitmproxy(on), mutations(target), (32,))
    return sides


def _found(spreads: dict[str, dict[int, Spread]], remarks: tuple[str, ...]) -> Found:
    figures = [
        Figure.of(f"{one} / {other}, {at} connections", spreads[one][at] / spreads[other][at], aim)
        for one, other, counts, aim in COMPARED
        for at in counts
        if at in spreads.get(one, {}) and at in spreads.get(other, {})
    ]
    rows = {name: [by.get(at) for at in CONNECTIONS] for name, by in spreads.items()}
    caption = "Requests a second, by connections; POSTs of 200 bytes, each with a key of its own:"
    lines = {
        name: tuple(None if spread is None else spread.median for spread in row)
        for name, row in rows.items()
        if name != DIRECT
    }
    plot = Plot("Requests a second", "connections", "requests / s (median)", CONNECTIONS, lines)
    return Found(tuple(figures), (table_of(caption, "", CONNECTIONS, rows),), (plot,), remarks)
