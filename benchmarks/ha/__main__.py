"""A failover under load, and the count of what it cost: `make ha`; `--help` lists the options.

Clients send actions through proxies over two Postgres servers that Patroni keeps, with synchronous
replication, and try again until each has an end. The server that takes writes is killed, with its Patroni;
the standby is promoted; the killed one comes back as its standby; and so on. Then every action is asked for
once more. Nothing may have been executed twice, and no receipt that a client has seen may be lost.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from benchmarks.ha.patroni import LOOP_WAIT, TTL, NotInstalled, Patroni, postgres_programs
from proxies import ProxyProcess
from raw_client import Reply, a_request, connected
from upstreams import Upstream, answer

LOST = (OSError, EOFError, TimeoutError)  # asyncio's IncompleteReadError among them
MUST_BE_ZERO = ("receipts lost", "executed twice", "answers that differ", "actions without an end")
STEADY = 200  # actions between two kills that have to end before the next one


class Load:
    """Clients at work, and what they saw."""

    def __init__(self, proxies: list[ProxyProcess], upstream: Upstream) -> None:
        self._proxies = proxies
        self._upstream = upstream
        self.seen: dict[str, tuple[bytes, bytes]] = {}
        self.doubtful: set[str] = set()
        self.asked: list[str] = []
        self.differing: set[str] = set()
        self.endless: set[str] = set()
        self.ends: list[float] = []  # when an action ended with an answer of its own execution
        self.stopping = False

    async def client(self, number: int) -> None:
        """Do one action after another."""
        action = 0
        while not self.stopping:
            action += 1
            key = f"{number}-{action}"
            self.asked.append(key)
            await self.do(key, number + action)

    async def do(self, key: str, start: int = 0) -> None:
        """Try until there is an end, at one proxy after another."""
        request = a_request(
            "POST", f"{self._upstream.url}/orders/{key}", f"Idempotency-Key: {key}", body=key.encode()
        )
        patience = time.monotonic() + 180
        turn = start
        while time.monotonic() < patience:
            proxy = self._proxies[turn % len(self._proxies)]
            turn += 1
            reply = await self._ask(proxy, request)
            if reply is None or reply.status == 503 or "in-progress" in _slug(reply):
                await asyncio.sleep(0.1)
                continue
            if "outcome-unknown" in _slug(reply) or reply.told["state"] == "in_doubt":
                self.doubtful.add(key)
                return
            if self.seen.setdefault(key, reply.own) != reply.own:
                self.differing.add(key)
            if not reply.replayed:
                self.ends.append(time.monotonic())
            return
        self.endless.add(key)

    async def _ask(self, proxy: ProxyProcess, request: bytes) -> Reply | None:
        try:
            async with asyncio.timeout(45), connected(proxy.url) as client:
                return await client.ask(request)
        except LOST:
            return None

    async def more(self, count: int) -> None:
        """Wait until so many more actions have ended."""
        wanted = len(self.ends) + count
        async with asyncio.timeout(180):
            while len(self.ends) < wanted:  # one who waits need not cost each client a wake
                await asyncio.sleep(0.1)


async def fail_over(patroni: Patroni, load: Load) -> float:
    """Kill the leader, wait until actions end again, take it back; return the seconds in between."""
    leader = await patroni.whole()
    await load.more(STEADY)
    await patroni.kill(leader)
    killed = time.monotonic()
    await load.more(STEADY)
    # What the killed one still answered came within moments.
    times = [killed, *(end for end in load.ends if end > killed)]
    gap = max(later - earlier for earlier, later in pairwise(times))
    await patroni.start_member(leader)
    await patroni.whole()
    return gap


async def count(patroni: Patroni, load: Load, upstream: Upstream) -> Counter[str]:
    """Ask for every action once more, and compare."""
    executions = Counter(seen.all("Idempotency-Key")[0] for seen in upstream.requests)
    before = dict(load.seen)
    gate = asyncio.Semaphore(16)

    async def once_more(key: str) -> None:
        async with gate:
            await load.do(key)

    await asyncio.gather(*(once_more(key) for key in load.asked))
    late = Counter(seen.all("Idempotency-Key")[0] for seen in upstream.requests) - executions
    return Counter(
        {
            "actions": len(load.asked),
            "answers that clients saw": len(before),
            "in doubt": len(load.doubtful - load.seen.keys()),
            "receipts lost": sum(late[key] > 0 for key in before),
            "executed twice": sum(one > 1 for one in (executions + late).values()),
            "answers that differ": len(load.differing),
            "actions without an end": len(load.endless),
        }
    )


def _slug(reply: Reply) -> str:
    return reply.slug if reply.all("Content-Type") == ["application/problem+json"] else ""


async def main() -> int:
    """Run, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=3, help="how often the leader is killed (3)")
    parser.add_argument("--clients", type=int, default=24, help="how many work at once (24)")
    parser.add_argument("--proxies", type=int, default=2, help="how many serve them (2)")
    options = parser.parse_args()
    async with AsyncExitStack() as parts:
        directory = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="onceproxy-")))
        os.chmod(directory, 0o711)  # where root runs this, the servers are another user's
        patroni = Patroni(directory)
        parts.push_async_callback(patroni.stop)
        try:
            await patroni.start()
        except NotInstalled as error:
            print(error, file=sys.stderr)
            return 2
        upstream = await parts.enter_async_context(Upstream(always=answer()))
        proxies = [
            await parts.enter_async_context(ProxyProcess(directory / f"proxy{number}", patroni.url))
            for number in range(options.proxies)
        ]
        load = Load(proxies, upstream)
        clients = [asyncio.create_task(load.client(number)) for number in range(options.clients)]
        began = time.monotonic()
        gaps = [await fail_over(patroni, load) for _ in range(options.kills)]
        seconds = time.monotonic() - began
        load.stopping = True
        await asyncio.gather(*clients)
        counts = await count(patroni, load, upstream)
    rows = [(name, f"{number:,}") for name, number in counts.items()]
    rows.append(("leaders killed", str(options.kills)))
    rows.append(("seconds without claims, each time", ", ".join(f"{gap:.1f}" for gap in gaps)))
    print(
        f"{options.clients} clients, {options.proxies} proxies, {seconds:.0f} s; Postgres "
        f"{postgres_programs().parent.name}, synchronous_mode, ttl {TTL} s, loop_wait {LOOP_WAIT} s"
    )
    print("\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)]))
    return 1 if any(counts[name] for name in MUST_BE_ZERO) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
