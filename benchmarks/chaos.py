"""Random faults under load, and the count of what they did: `make chaos`; `--help` lists the options.

Clients send actions and their copies through several proxies over one database, and try again until each has
an end. Meanwhile proxies are killed, suspended and stopped, Postgres is killed and restarted, its connections
are cut, the upstream fails in all its ways, and clients leave. Then faults end, and every action is asked for
once more. Nothing may have been executed twice, and no receipt may be lost or say other than a client saw.

The seed decides what is tried, not what comes of it: that is up to the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import asyncpg

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from proxies import ProxyProcess
from raw_client import Reply, a_request, connected
from servers import Server
from upstreams import Behaviour, Conversation, Upstream, answer, close, hang, raw, reset

LEASE = 3.0  # seconds; suspensions and outages are shorter and longer
CONFIG = f"""
limits: {{lease: {LEASE:g}s, upstream_timeout: 3s, database_timeout: 20s}}
defaults: {{wait: 5s}}
"""
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onceproxy'"
METHODS = ("POST", "PUT", "PATCH", "DELETE")
LOST = (OSError, EOFError, TimeoutError)  # asyncio's IncompleteReadError among them
TURNED_AWAY = answer(429, b"later", (("Retry-After", "1"),))


async def slowly(talk: Conversation) -> None:
    """Answer after a while."""
    await asyncio.sleep(0.4)
    await answer(201, b"%d slow" % talk.seen.connection)(talk)


async def as_a_stream(talk: Conversation) -> None:
    """Answer bit by bit."""
    await talk.send(
        b"HTTP/1.1 200 Fine\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for number in range(5):
        await talk.send(b"9\r\ndata: %d\n\n\r\n" % number)
        await asyncio.sleep(0.05)
    await talk.send(b"0\r\n\r\n")


WAYS: list[tuple[Behaviour, int]] = [
    (answer(), 660),
    (answer(200, b"x" * 50_000), 50),
    (slowly, 60),
    (as_a_stream, 50),
    (answer(402, b"declined"), 20),
    (TURNED_AWAY, 60),
    (answer(500, b"oops"), 20),
    (answer(503, b"busy"), 10),
    (reset, 20),
    (close, 20),
    (raw(b"HTTP/1.1 201 Made\r\nContent-Length: 10\r\n\r\nhalf"), 10),
    (raw(b"HTTP/1.1 201 Ma", then="reset"), 10),
    (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), 5),
    (hang, 5),
]


class Chaos:
    """One run: ``report`` says what came of it."""

    def __init__(self, seed: int, clients: int) -> None:
        self.chance = random.Random(seed)
        self.clients = clients
        self.proxies: list[ProxyProcess] = []
        self.upstream = Upstream(always=self._misbehave)
        self.turned_away: set[int] = set()  # which of the requests the upstream did not execute
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.seen: dict[
            str, tuple[bytes, bytes]
        ] = {}  # what a client saw of each action, if it saw an answer
        self.requests: dict[str, bytes] = {}
        self.differing: set[str] = set()
        self.stopping = asyncio.Event()

    async def _misbehave(self, talk: Conversation) -> None:
        [way] = self.chance.choices([way for way, _ in WAYS], [weight for _, weight in WAYS])
        if way is TURNED_AWAY:
            self.turned_away.add(id(talk.seen))
        await way(talk)

    # Clients.

    async def client(self, number: int) -> None:
        """Do one action after another, some in several copies at once."""
        action = 0
        while not self.stopping.is_set():
            action += 1
            key = f"{number}-{action}"
            method = self.chance.choice(METHODS)
            body = b'{"order": "%s"}' % key.encode()
            url = f"{self.upstream.url}/orders/{key}"
            self.requests[key] = a_request(method, url, f"Idempotency-Key: {key}", body=body)
            copies = self.chance.choices([1, 2, 3], [7, 2, 1])[0]
            await asyncio.gather(*(self.copy(key) for _ in range(copies)))

    async def copy(self, key: str, *, calm: bool = False) -> str:
        """Try until there is an end; return the state that was told."""
        patience = time.monotonic() + 120
        while time.monotonic() < patience:
            leaves = not calm and self.chance.random() < 0.05
            reply = await self.ask(key, self.chance.uniform(0, 0.05) if leaves else 20.0)
            if reply is None or reply.status in (429, 503) or "in-progress" in _slug(reply):
                await asyncio.sleep(self.chance.uniform(0.02, 0.4))
                continue
            state = str(reply.told["state"])
            if state == "in_doubt" or "outcome-unknown" in _slug(reply):
                return "in_doubt"
            if reply.status == 502 and state == "released":
                continue
            if self.seen.setdefault(key, _unframed(reply)) != _unframed(reply):
                self.differing.add(key)
            return "completed"
        return "no end"

    async def ask(self, key: str, patience: float) -> Reply | None:
        """Send one copy through one of the proxies; None if that was lost, or nobody waited for it."""
        self.counts["copies sent"] += 1
        proxy = self.chance.choice(self.proxies)
        try:
            async with asyncio.timeout(patience), connected(proxy.url) as client:
                return await client.ask(self.requests[key])
        except LOST:
            self.counts["copies without an answer"] += 1
            return None

    # Faults.

    async def trouble(self, proxy: ProxyProcess) -> None:
        """Trouble one proxy, over and over."""
        while not await self.stopped_within(self.chance.uniform(1, 12)):
            what = self.chance.choices(["kill", "suspend", "stop"], [4, 4, 1])[0]
            assert proxy.process is not None
            self.faults[f"proxies: {what}"] += 1
            if what == "suspend":
                proxy.process.send_signal(SIGSTOP)
                await asyncio.sleep(self.chance.uniform(0.1, LEASE * 2))
                proxy.process.send_signal(SIGCONT)
                continue
            if what == "kill":
                await proxy.kill()
            else:
                await proxy.stop()
            await asyncio.sleep(self.chance.uniform(0, 1))
            await self.start(proxy)

    async def start(self, proxy: ProxyProcess) -> None:
        """Start a proxy, whatever the database does meanwhile."""
        for _ in range(20):
            with suppress(AssertionError, TimeoutError):
                return await proxy.start()
            if proxy.runs:
                await proxy.kill()
            await asyncio.sleep(0.5)
        raise RuntimeError("a proxy does not start any more:\n" + "\n".join(proxy.log[-20:]))

    async def trouble_database(self, server: Server) -> None:
        """Trouble the database, over and over."""
        while not await self.stopped_within(self.chance.uniform(4, 15)):
            what = self.chance.choices(["kill", "restart", "cut"], [2, 1, 3])[0]
            self.faults[f"database: {what}"] += 1
            if what == "cut":
                await server.execute(CUT)
                continue
            await (server.kill() if what == "kill" else server.stop())
            await asyncio.sleep(self.chance.uniform(0, 4))
            await server.start()

    async def stopped_within(self, seconds: float) -> bool:
        """Wait; return whether the run is over."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        return self.stopping.is_set()

    # What came of it.

    async def run(self, seconds: float, server: Server) -> None:
        """Let clients work under faults for a time, then let all come to rest, and look."""
        faults = [asyncio.create_task(self.trouble(proxy)) for proxy in self.proxies]
        faults.append(asyncio.create_task(self.trouble_database(server)))
        clients = [asyncio.create_task(self.client(number)) for number in range(self.clients)]
        over = asyncio.create_task(asyncio.sleep(seconds))
        await asyncio.wait([over, *faults, *clients], return_when=asyncio.FIRST_COMPLETED)
        self.stopping.set()
        await asyncio.gather(*faults, *clients)
        await asyncio.sleep(LEASE * 2)  # so that dead owners are known for dead, and spools are drained
        await self.look(server)

    async def look(self, server: Server) -> None:
        """Ask for every action once more, and compare with what the clients and the upstream saw."""
        gate = asyncio.Semaphore(32)

        async def once_more(key: str) -> str:
            async with gate:
                return await self.copy(key, calm=True)

        ends = await asyncio.gather(*(once_more(key) for key in self.requests))
        executions: dict[str, list[bool]] = defaultdict(list)
        for seen in self.upstream.requests:
            executions[seen.all("Idempotency-Key")[0]].append(id(seen) not in self.turned_away)
        connection = await asyncpg.connect(server.url)
        stored = [
            (row["url"], row["state"]) for row in await connection.fetch("SELECT url, state FROM receipts")
        ]
        twice = await connection.fetchval("SELECT count(*) FROM events WHERE kind = 'executed-twice'")
        await connection.close()
        states = Counter(state for _, state in stored)
        kept = {url.rpartition("/")[2] for url, state in stored if state == "completed"}
        self.counts.update(
            {
                "actions": len(self.requests),
                "requests that reached the upstream": len(self.upstream.requests),
                "… turned away by it": len(self.turned_away),
                "executions": sum(sum(one) for one in executions.values()),
                "answers that clients saw": len(self.seen),
                "in doubt": states["in_doubt"],
                # Whatever reaches the upstream after an execution is one too many.
                "executed twice": sum(True in one[:-1] for one in executions.values()) + twice,
                "receipts lost": len(set(self.seen) - kept),
                "answers that differ": len(self.differing),
                "actions without an end": ends.count("no end") + states["claimed"],
            }
        )

    def report(self) -> str:
        """The table."""
        rows = [
            *("actions", "copies sent", "copies without an answer", "requests that reached the upstream"),
            *("… turned away by it", "executions", "answers that clients saw", "in doubt", *MUST_BE_ZERO),
        ]
        lines = [f"| {name} | {self.counts[name]:,} |" for name in rows]
        lines += [f"| faults, {name} | {count} |" for name, count in sorted(self.faults.items())]
        return "\n".join(["| | |", "|---|---|", *lines])


MUST_BE_ZERO = ("executed twice", "receipts lost", "answers that differ", "actions without an end")


def _slug(reply: Reply) -> str:
    return reply.slug if reply.all("Content-Type") == ["application/problem+json"] else ""


def _unframed(reply: Reply) -> tuple[bytes, bytes]:
    """What must be the same for each copy: all but how its length is told, which a stream can't know."""
    head, body = reply.own
    framing = (b"content-length:", b"transfer-encoding:")
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(framing)), body


async def main() -> int:
    """Run, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=150, help="how long faults go on (150)")
    parser.add_argument("--clients", type=int, default=64, help="how many work at once (64)")
    parser.add_argument("--proxies", type=int, default=3, help="how many serve them (3)")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1 << 32), help="of what is tried (random)"
    )
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.seconds:g} s, {options.clients} clients, {options.proxies} proxies")
    chaos = Chaos(options.seed, options.clients)
    async with AsyncExitStack() as parts:
        directory = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="onceproxy-")))
        os.chmod(directory, 0o711)  # where root runs this, the database is another user's
        server = Server(directory / "database", {"max_connections": "100"})
        await server.start()
        parts.push_async_callback(server.stop)
        await parts.enter_async_context(chaos.upstream)
        for number in range(options.proxies):
            proxy = ProxyProcess(directory / f"proxy{number}", server.url, CONFIG)
            chaos.proxies.append(await parts.enter_async_context(proxy))
        await chaos.run(options.seconds, server)
    print(chaos.report())
    return 1 if any(chaos.counts[name] for name in MUST_BE_ZERO) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
