"""What a large table costs: claims, replays and expiry with ten million receipts, beside ten thousand.

The tables are filled by a server that is not careful, and measured on one that is, as it comes.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from benchmarks.rounds import Measure, Wrong, alternate
from benchmarks.store import batched, pairs
from benchmarks.tables import Figure, Found, table_of
from filling import filled_id, insert, tidy
from onceproxy.core.receipts import Receipt
from onceproxy.core.states import State
from onceproxy.store.connection import Connections
from onceproxy.store.embedded import EmbeddedServer, start_embedded
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.schema import migrate
from stores import an_action

SMALL = 10_000
LARGE = int(os.environ.get("ONCEPROXY_BENCH_RECEIPTS", "10000000"))
STEP = 500_000  # receipts between two vacuums
HANDS = 2  # connections that make them
FILLING = 600.0  # seconds: what is not made by then is left out, and that is told
CLIENTS = 32
# What is inserted is answered already: so pages get as full as those of claims that were answered later.
FULL, USUAL = "ALTER TABLE receipts SET (fillfactor = 35)", "ALTER TABLE receipts SET (fillfactor = 20)"
PAGE = 500  # receipts that expire in one transaction
PAGES = 2  # a measurement
AIM = 1.3

# While tables are filled, not while they are measured: what they hold is the same.
CARELESS = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "2GB",
    "max_wal_size": "4GB",
}

_END = (datetime(9999, 1, 1, tzinfo=UTC), b"")


@dataclass
class Side:
    """A database, its store, and how many receipts it was filled with; ``expired`` of them are by now."""

    rows: int
    store: PostgresStore
    connections: Connections
    database: asyncpg.Connection
    expired: int = 0

    def measure(self, what: str) -> Measure:
        """Return what measures how many of something it does a second."""
        return {
            "claim and completion": partial(pairs, partial(batched, self.store), CLIENTS),
            "replay": partial(pairs, self.replay, CLIENTS),
        }.get(what, self.expire)

    async def replay(self) -> None:
        """Ask for an action that was done."""
        known = filled_id(random.randint(self.rows // 2, self.rows))
        found = await self.store.claim(replace(an_action(), request_id=known))
        if not isinstance(found, Receipt) or found.state is not State.COMPLETED:
            raise Wrong("what was done was not found")

    async def expire(self, seconds: float) -> float:
        """Return how many receipts a second expire, where all that is looked at is due."""
        took = 0.0
        for _ in range(PAGES):
            first, self.expired = self.expired + 1, self.expired + PAGE
            due = [filled_id(number).digest for number in range(first, self.expired + 1)]
            after = await self.database.fetchval(
                """
                WITH due AS (
                    UPDATE receipts SET expires_at = now() WHERE request_id = ANY ($1) RETURNING created_at
                )
                SELECT min(created_at) - interval '1 microsecond' FROM due
                """,
                due,
            )
            began = time.perf_counter()
            row = await self.connections.run("collect", after, b"", *_END, PAGE, timeout=60)
            took += time.perf_counter() - began
            if row is None or row["expired"] != PAGE:
                raise Wrong("what was due did not expire")
        return PAGES * PAGE / took


async def measure() -> Found:
    """Fill two databases of one server, and measure both."""
    with tempfile.TemporaryDirectory(prefix="onceproxy-bench-") as directory:
        server = await start_embedded(Path(directory))
        try:
            urls = [await _database(server.url, name) for name in ("small", "large")]
            settings = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in CARELESS.items()]
            server = await _restarted(server, Path(directory), *settings)
            began = time.monotonic()
            made = [await _fill(url, rows) for url, rows in zip(urls, (SMALL, LARGE), strict=True)]
            server = await _restarted(server, Path(directory), "ALTER SYSTEM RESET ALL")
            await asyncio.to_thread(os.sync)  # or the disk would still be at it while we measure
            filled = f"Filling took {time.monotonic() - began:.0f} seconds."
            found = await compare((urls[0], made[0]), (urls[1], made[1]))
            return replace(found, remarks=(*found.remarks, filled))
        finally:
            await server.stop()


async def compare(small: tuple[str, int], large: tuple[str, int]) -> Found:
    """Compare two filled databases: the URL and the number of receipts of each."""
    sides = [await _open(*one) for one in (small, large)]
    figures, rows = [], {}
    for what, unit in (("claim and completion", "pairs"), ("replay", "replays"), ("expiry", "expiries")):
        few, many = (await alternate({f"{side.rows:,}": side.measure(what) for side in sides})).values()
        figures.append(
            Figure.of(f"cost of a {what}, {large[1]:,} / {small[1]:,}", few / many, AIM, below=True)
        )
        rows[f"{unit} a second"] = [few, many]
    for side in sides:
        await side.store.close()
        await side.connections.close()
        await side.database.close()
    table = table_of("By the number of receipts:", "", (small[1], large[1]), rows)
    short = f"Filling took too long: {large[1]:,} receipts instead of {LARGE:,}."
    return Found(tuple(figures), (table,), remarks=(short,) if large[1] < LARGE else ())


async def _open(url: str, rows: int) -> Side:
    return Side(
        rows, await PostgresStore.open(url), await Connections.open(url, 2), await asyncpg.connect(url)
    )


async def _database(server_url: str, name: str) -> str:
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


async def _restarted(server: EmbeddedServer, directory: Path, *settings: str) -> EmbeddedServer:
    """Change settings of the server that hold from its next start, and start it anew."""
    connection = await asyncpg.connect(server.url)
    for setting in settings:
        await connection.execute(setting)
    await connection.close()
    await server.stop()
    return await start_embedded(directory)


async def _fill(url: str, rows: int) -> int:
    """Return how many were made in the time there is."""
    hands = [await asyncpg.connect(url) for _ in range(HANDS)]
    await migrate(hands[0])
    await hands[0].execute(FULL)
    end, made = time.monotonic() + FILLING, 0
    while made < rows and time.monotonic() < end:
        step = min(STEP, rows - made)
        edges = [made + step * hand // HANDS for hand in range(HANDS + 1)]
        await asyncio.gather(
            *(
                insert(hand, first + 1, last)
                for hand, (first, last) in zip(hands, pairwise(edges), strict=True)
            )
        )
        await tidy(hands[0])
        made += step
    await hands[0].execute(USUAL)
    for hand in hands:
        await hand.close()
    return made
