"""Runs benchmarks, all or some by name: `make bench`, `make bench BENCH='http latency'`.

Each part is a module here with ``async def measure() -> Found``. What it finds goes to docs/performance.md at
once, so that a run that was cut short can be taken up with the parts that are left.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from benchmarks.report import PARTS, write
from benchmarks.rounds import look_at_machine
from benchmarks.tables import Found, keep


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description="What the guard costs, side by side.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; none: all")
    parts = parser.parse_args().parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    for part in parts:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(_measure(part))
        for figure in found.figures:
            print("  ".join(figure.row), flush=True)
        keep(part, found)
        write()


async def _measure(part: str) -> Found:
    machine, began = await look_at_machine(), time.monotonic()
    print(f"== {part}: {machine}", flush=True)
    found: Found = await importlib.import_module(f"benchmarks.{part}").measure()
    remark = f"Before it: {machine}; it took {time.monotonic() - began:.0f} seconds."
    return Found(found.figures, found.tables, found.plots, (*found.remarks, remark))


if __name__ == "__main__":
    main()
