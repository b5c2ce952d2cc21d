"""Requests a second for https:// through the tunnel, with TLS on both sides."""

from __future__ import annotations

import ssl

from benchmarks import peers
from benchmarks.asking import mutations
from benchmarks.counted import Counted, replays
from benchmarks.load import Load, Way
from benchmarks.rounds import Measure, Spread, alternate
from benchmarks.stage import PASSING, stage
from benchmarks.tables import Figure, Found, Plot, table_of

CONNECTIONS = (1, 8, 32, 128)
PASSED, GUARDED, REPLAYS, MITMPROXY = "guard: false", "guarded", "replays", "mitmproxy"
OPAQUE = "passthrough"


async def measure() -> Found:
    async with stage() as on:
        far = on.upstream
        target = far.inside
        opaque = await on.ours("opaque", "", tls="intercept: false")
        guarded, passing = await on.ours("guarded"), await on.ours("passing", PASSING)
        through, trusting = guarded.tunnel(far), ssl.create_default_context(cafile=far.roots)
        sides = {
            OPAQUE: (Way(opaque.port, target.host, trusting), mutations(target), 1),
            PASSED: (passing.tunnel(far), mutations(target), 1),
            GUARDED: (through, mutations(target), 1),
            REPLAYS: (through, await replays(through, target), 0),
        }
        mitmproxy = await peers.mitmproxy(on)
        spreads: dict[str, dict[int, Spread]] = {}
        for connections in CONNECTIONS:
            loads: dict[str, Measure] = {
                side: Counted(Load(way, asks, connections), far, times)
                for side, (way, asks, times) in sides.items()
            }
            if mitmproxy is not None and connections == 32:
                roots = on.directory / "mitmproxy" / "mitmproxy-ca-cert.pem"
                way = Way(mitmproxy.port, target.host, ssl.create_default_context(cafile=roots))
                loads[MITMPROXY] = Counted(Load(way, mutations(target), connections), far)
            for side, spread in (await alternate(loads)).items():
                spreads.setdefault(side, {})[connections] = spread
                print(f"{connections:4} {side}: {spread}", flush=True)
        return _found(spreads, tuple(on.remarks))


def _found(spreads: dict[str, dict[int, Spread]], remarks: tuple[str, ...]) -> Found:
    compared = (
        (GUARDED, PASSED, 32),
        (GUARDED, PASSED, 8),
        (REPLAYS, PASSED, 32),
        (GUARDED, MITMPROXY, 32),
    )
    figures = tuple(
        Figure.of(f"{one} / {other}, {at} connections", spreads[one][at] / spreads[other][at])
        for one, other, at in (*compared, (PASSED, OPAQUE, 32))
        if at in spreads.get(other, {})
    )
    rows = {side: [by.get(at) for at in CONNECTIONS] for side, by in spreads.items()}
    lines = {side: tuple(one.median if one else None for one in row) for side, row in rows.items()}
    table = table_of("Requests a second, by connections:", "", CONNECTIONS, rows)
    plot = Plot("HTTPS through the tunnel", "connections", "requests / s (median)", CONNECTIONS, lines)
    return Found(figures, (table,), (plot,), remarks)
