"""What the guard adds to a lone request, in units of the database's commit; and how far p99 is from p50."""

from __future__ import annotations

import time

import asyncpg

from benchmarks.asking import mutations
from benchmarks.counted import Counted, replays
from benchmarks.load import Load, Way
from benchmarks.rounds import ROUNDS, Measure, Spread, alternate
from benchmarks.stage import PASSING, stage
from benchmarks.tables import Figure, Found, table_of

LONE, MANY = 1, 32
COMMIT = "one commit"
DIRECT, PASSED, GUARDED, REPLAYS = "no proxy", "guard: false", "guarded", "replays"


def committing(connection: asyncpg.Connection) -> Measure:
    """Measure the median of commits of one row each, on one connection, in milliseconds."""

    async def measure(seconds: float) -> float:
        took, until = [], time.perf_counter() + seconds
        insert = await connection.prepare("INSERT INTO commits VALUES (now())")
        while (began := time.perf_counter()) < until:
            await insert.fetch()
            took.append(time.perf_counter() - began)
        return sorted(took)[len(took) // 2] * 1e3

    return measure


def in_ms(load: Load) -> tuple[Spread, Spread]:
    """Return p50 and p99 of the last rounds, in milliseconds."""
    p50, p99 = load.latencies(ROUNDS)
    return Spread(tuple(one * 1e3 for one in p50.values)), Spread(tuple(one * 1e3 for one in p99.values))


async def measure() -> Found:
    async with stage() as on:
        target = on.upstream.forward
        guarded, passing = await on.ours("guarded"), await on.ours("passing", PASSING)
        connection = await asyncpg.connect(await on.database("commits"))
        on.parts.push_async_callback(connection.close)
        await connection.execute("CREATE TABLE commits (at timestamptz)")
        asked = {
            DIRECT: (Way(on.upstream.port), mutations(on.upstream.direct), 1),
            PASSED: (passing.way, mutations(target), 1),
            GUARDED: (guarded.way, mutations(target), 1),
            REPLAYS: (guarded.way, await replays(guarded.way, target), 0),
        }
        rows: dict[str, list[Spread | None]] = {name: [] for name in asked}
        for connections in (LONE, MANY):
            loads = {name: Load(way, asks, connections) for name, (way, asks, _) in asked.items()}
            sides: dict[str, Measure] = {
                name: Counted(load, on.upstream, asked[name][2]) for name, load in loads.items()
            }
            if connections == LONE:
                sides[COMMIT] = committing(connection)
            measured = await alternate(sides)
            for name, load in loads.items():
                rows[name] += in_ms(load)
            if connections == LONE:
                commit = measured[COMMIT]
        rows[COMMIT] = [commit, None, None, None]
    return _found(rows, commit)


def _found(rows: dict[str, list[Spread | None]], commit: Spread) -> Found:
    def p50(name: str, at: int = 0) -> Spread:
        spread = rows[name][at]
        assert spread is not None
        return spread

    over_pass, over_direct = p50(GUARDED) - p50(PASSED), p50(GUARDED) - p50(DIRECT)
    figures = (
        Figure.of("lone p50: (guarded − guard: false) / one commit", over_pass / commit, 2.5, below=True),
        Figure.of("lone p50: (guarded − no proxy) / one commit", over_direct / commit),
        Figure.of("lone p50: (replay − no proxy) / one commit", (p50(REPLAYS) - p50(DIRECT)) / commit),
        Figure.of("guarded, 32 connections: p99 / p50", p50(GUARDED, 3) / p50(GUARDED, 2), 4.0, below=True),
        Figure.of("guard: false, 32 connections: p99 / p50", p50(PASSED, 3) / p50(PASSED, 2)),
    )
    columns = ("lone p50", "lone p99", "p50 of 32", "p99 of 32")
    caption = "Milliseconds; closed loop, which flatters p99:"
    return Found(figures, (table_of(caption, "", columns, rows),))
