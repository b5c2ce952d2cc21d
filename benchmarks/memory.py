"""Resident memory: of tunnels that idle, of copies that wait, of large answers on their way.

Each round has programs of its own: what one held once it seldom gives back.
"""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from benchmarks import peers
from benchmarks.asking import Asks, mutations
from benchmarks.load import Way
from benchmarks.rounds import ROUNDS, Spread, Wrong
from benchmarks.stage import Stage, stage
from benchmarks.tables import Figure, Found, Table, table_of
from large_answers import SIZE, LargeAnswers, ask_for_all, digest
from raw_client import RawClient, a_request, connected
from resident import at_rest, forget_peak, peak, resident
from upstreams import Upstream, after, answer

T = TypeVar("T")

TUNNELS = 1_000
COPIES = 10_000
ANSWERS = 200
TOGETHER = 50  # connections that are made, or asked, at once
SPARE = 500  # files for other things than connections

ROOM = (
    "limits: {connections: 20000, connections_per_client: 20000, tunnels: 20000, "
    "waiters: 20000, waiters_per_action: 20000}\n"
)
PATIENT = "defaults: {wait: 10m}\n"

OPENED, OPAQUE, WAITING = "opened tunnels", "opaque tunnels", "waiting copies"
SENT, REPLAYED = "answers of 10 MiB", "replays of 10 MiB"
MITMPROXY, SQUID = "mitmproxy, opened tunnels", "squid, opaque tunnels"


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes of a program: at rest, while so many things are there (where that lasts), and at the most."""

    count: int
    rest: int
    lasting: int | None
    peak: int

    @property
    def each(self) -> float:
        """KiB that one of them takes while it is there, or at the most."""
        return ((self.lasting or self.peak) - self.rest) / self.count / 1024


async def measure() -> Found:
    copies = min(COPIES, _files() - SPARE)
    async with stage() as on:
        rows: dict[str, list[Held]] = {}
        for _ in range(ROUNDS):
            for one in (opened, opaque, partial(waiting, copies=copies), large_answers, mitmproxy, squid):
                async with on.apart() as apart:
                    for name, held in (await one(apart)).items():
                        rows.setdefault(name, []).append(held)
                        print(f"{held.count:6,} {name}: {held.each:.1f} KiB each", flush=True)
        remarks = tuple(dict.fromkeys(on.remarks))
    short = f"The system allows no more files: {copies:,} copies instead of {COPIES:,}."
    return _found(rows, (*remarks, short) if copies < COPIES else remarks)


async def opened(on: Stage) -> dict[str, Held]:
    """Tunnels whose TLS we end, and that carried a mutation each."""
    ours = await on.ours("opened", ROOM)
    return {OPENED: await tunnels(ours.pid, ours.tunnel(on.upstream), mutations(on.upstream.inside))}


async def opaque(on: Stage) -> dict[str, Held]:
    """Tunnels that are passed through, each with a connection to the upstream."""
    ours, target = await on.ours("opaque", ROOM, tls="intercept: false"), on.upstream.inside
    way = Way(ours.port, target.host, ssl.create_default_context(cafile=on.upstream.roots))
    return {OPAQUE: await tunnels(ours.pid, way, mutations(target))}


async def mitmproxy(on: Stage) -> dict[str, Held]:
    """Measure the same of mitmproxy."""
    if (way := await peers.mitmproxy(on)) is None:
        return {}
    roots, target = on.directory / "mitmproxy" / "mitmproxy-ca-cert.pem", on.upstream.inside
    inside = Way(way.port, target.host, ssl.create_default_context(cafile=roots))
    return {MITMPROXY: await tunnels(way.pid, inside, mutations(target))}


async def squid(on: Stage) -> dict[str, Held]:
    """Measure the same of squid, which opens none."""
    if (way := await peers.squid(on)) is None:
        return {}
    target = on.upstream.inside
    through = Way(way.port, target.host, ssl.create_default_context(cafile=on.upstream.roots))
    return {SQUID: await tunnels(way.pid, through, mutations(target))}


async def tunnels(pid: int, way: Way, asks: Asks) -> Held:
    """Open tunnels, have each asked once, let them idle, and see that they are still there."""

    async def ask(client: RawClient) -> None:
        due = asks()
        reply = await client.ask(due.sent)
        if reply.status != 200 or reply.body != due.body:
            raise Wrong(f"a wrong answer in a tunnel: {reply}")

    async def one(clients: AsyncExitStack) -> RawClient:
        client = await clients.enter_async_context(connected(f"http://127.0.0.1:{way.port}"))
        if (reply := await client.connect(way.tunnel)).status != 200 or way.trust is None:
            raise Wrong(f"no tunnel: {reply}")
        await client.secure(way.trust, way.tunnel.partition(":")[0])
        await ask(client)
        return client

    async with AsyncExitStack() as first:
        await one(first)
    rest = await _rest(pid)
    async with AsyncExitStack() as clients:
        there = await _some_at_once([partial(one, clients) for _ in range(TUNNELS)])
        await at_rest(pid)
        lasting = resident(pid)
        await _some_at_once([partial(ask, client) for client in there])
        return Held(TUNNELS, rest, lasting, peak(pid))


async def waiting(on: Stage, copies: int) -> dict[str, Held]:
    """Copies of one action that is at work; then it ends, and each must get what came of it."""
    gate = asyncio.Event()
    async with Upstream(always=after(gate, answer())) as far, AsyncExitStack() as clients:
        ours = await on.ours("waiting", ROOM + PATIENT)
        url = f"http://127.0.0.1:{ours.port}"
        sent = a_request("POST", f"{far.url}/charges", "Idempotency-Key: one", body=b'{"amount": 100}')

        async def one() -> RawClient:
            client = await clients.enter_async_context(connected(url))
            await client.send(sent)
            return client

        rest = await _rest(ours.pid)
        there = [await one()]
        await far.arrived(1)
        there += await _some_at_once([one] * copies)
        await at_rest(ours.pid)
        lasting = resident(ours.pid)
        gate.set()
        replies = await asyncio.gather(*(client.reply() for client in there))
        if far.executions != 1 or replies[0].status != 201 or replies[0].replayed:
            raise Wrong(f"{far.executions} executions; the first one got {replies[0]}")
        if strange := [reply for reply in replies[1:] if not reply.replayed or reply.own != replies[0].own]:
            raise Wrong(f"{len(strange):,} copies got something else: {strange[0]}")
        return {WAITING: Held(copies, rest, lasting, peak(ours.pid))}


async def large_answers(on: Stage) -> dict[str, Held]:
    """Large answers all at once, and then as many replays."""
    async with Upstream(always=LargeAnswers(ANSWERS)) as far:
        ours = await on.ours("answers")
        urls = [f"{far.url}/{number}" for number in range(ANSWERS)]
        held = {}
        rest = await _rest(ours.pid)
        for name, replayed in ((SENT, False), (REPLAYED, True)):
            forget_peak(ours.pid)
            for target, got, was_replay in await ask_for_all(f"http://127.0.0.1:{ours.port}", urls):
                if got != digest(target) or was_replay is not replayed:
                    raise Wrong(f"a wrong answer to {target}, or a replay where none was due")
            held[name] = Held(ANSWERS, rest, None, peak(ours.pid))
        if far.executions != ANSWERS:
            raise Wrong(f"{far.executions} executions of {ANSWERS} actions")
        return held


async def _rest(pid: int) -> int:
    """Return what a process holds when it has nothing to do, from where its peak counts."""
    await at_rest(pid)
    forget_peak(pid)
    return resident(pid)


async def _some_at_once(works: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    turns = asyncio.Semaphore(TOGETHER)

    async def in_turn(work: Callable[[], Awaitable[T]]) -> T:
        async with turns:
            return await work()

    return list(await asyncio.gather(*(in_turn(work) for work in works)))


def _files() -> int:
    """Allow as many open files as the system lets us, here and in what is started; return how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def _found(rows: dict[str, list[Held]], remarks: tuple[str, ...]) -> Found:
    each = {name: Spread(tuple(held.each for held in row)) for name, row in rows.items()}
    figures = [
        Figure.of(f"memory of an idle tunnel: {one} / {other}", each[one] / each[other])
        for one, other in ((OPENED, MITMPROXY), (OPAQUE, SQUID))
        if other in each
    ]
    for name in (SENT, REPLAYED):
        share = Spread(tuple(held.each * 1024 / SIZE for held in rows[name]))
        figures.append(Figure.of(f"growth with {ANSWERS} {name} at once / their size", share))
    return Found(tuple(figures), (_table(rows, each),), remarks=remarks)


def _table(rows: dict[str, list[Held]], each: dict[str, Spread]) -> Table:
    def mib(sizes: Sequence[int | None]) -> Spread | None:
        known = [size / (1 << 20) for size in sizes if size is not None]
        return Spread(tuple(known)) if known else None

    spreads = {
        f"{row[0].count:,} {name}": [
            mib([held.rest for held in row]),
            mib([held.lasting for held in row]),
            mib([held.peak for held in row]),
            each[name],
        ]
        for name, row in rows.items()
    }
    columns = ("MiB at rest", "MiB while they are there", "MiB at peak", "KiB for each")
    return table_of("Resident memory of the program:", "", columns, spreads)
