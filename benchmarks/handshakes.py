"""What a request costs the proxy where upstreams close each connection, with sessions resumed and without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.asking import Target, mutations
from benchmarks.counted import Counted
from benchmarks.load import Load
from benchmarks.rounds import Wrong, alternate
from benchmarks.stage import stage
from benchmarks.tables import Figure, Found, table_of
from benchmarks.upstream import HOST, Upstream

CONNECTIONS = 8
ROUTE = "routes: [{name: passing, match: {path: /**}, guard: false, upgrade_tls: true}]\n"
KEPT, FULL, RESUMED = "connections kept", "full handshakes", "resumed"


@dataclass(frozen=True, slots=True)
class Charged:
    """The processor time that a load costs one process, in microseconds a request."""

    load: Counted
    pid: int

    async def __call__(self, seconds: float) -> float:
        """Run the load."""
        before = _worked(self.pid)
        await self.load(seconds)
        return (_worked(self.pid) - before) / self.load.load.runs[-1].answers / 1e3


def _worked(pid: int) -> int:
    """Return the nanoseconds that all threads of a process have worked."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


async def measure() -> Found:
    async with stage() as on:
        far = on.upstream
        ours = await on.ours("passing", ROUTE)
        ports = {KEPT: far.tls_port}
        for version, pair in far.closing.items():
            ports |= zip((f"{FULL}, {version}", f"{RESUMED}, {version}"), pair, strict=True)
        sides = {}
        for side, port in ports.items():
            asks = mutations(Target(f"http://{HOST}:{port}", f"{HOST}:{port}"))
            sides[side] = Charged(Counted(Load(ours.way, asks, CONNECTIONS), far), ours.pid)
        spreads = await alternate(sides)
        _check(far, {port: side for side, port in ports.items()})
    figures = []
    for version in far.closing:
        full, resumed = spreads[f"{FULL}, {version}"], spreads[f"{RESUMED}, {version}"]
        figures.append(Figure.of(f"{RESUMED} / {FULL}, {version}", resumed / full))
        alone = (resumed - spreads[KEPT]) / (full - spreads[KEPT])
        figures.append(Figure.of(f"{RESUMED} / {FULL}, {version}, less the request", alone))
    rows = {side: (spread,) for side, spread in spreads.items()}
    caption = f"Processor time of the proxy, `guard: false`, {CONNECTIONS} connections of clients:"
    return Found(tuple(figures), (table_of(caption, "", ("µs a request",), rows),))


def _check(far: Upstream, sides: dict[int, str]) -> None:
    """See that the upstream took part in what was measured: it resumed where it was to, nowhere else."""
    seen: dict[int, list[bool]] = {}
    for line in far.handshakes.read_text().splitlines():
        port, how = line.split()
        seen.setdefault(int(port), []).append(how == "r")
    for at, resumed in seen.items():
        side, share = sides[at], sum(resumed) / len(resumed)
        print(f"{side}: {share:.1%} of {len(resumed):,} connections resumed a session", flush=True)
        if share < 0.9 if side.startswith(RESUMED) else share:
            raise Wrong(f"{side}: {share:.1%} of the connections resumed a session")
