"""All limits filled at once, at a proxy in a process of its own: it takes no more memory than docs say."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from faults.conftest import StartProxy
from onceproxy.config.model import Limits
from proxies import ProxyProcess
from raw_client import RawClient, Reply, a_request, connected, post
from resident import can_tell, forget_peak, peak
from upstreams import PATIENCE, Conversation, Upstream, after, answer

pytestmark = pytest.mark.skipif(not can_tell(), reason="reads the memory's peak from /proc")

DOCS = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")
MIB = 1 << 20
CONFIG = """
tls: {intercept: false}
limits:
  connections: 100
  connections_per_client: 100
  head: 64KiB
  head_timeout: 2s
  body_timeout: 2s
  drain_timeout: 1s
  tunnels: 5
  tunnel_idle_timeout: 3s
  memory: 1MiB
  receipt_cache: 1MiB
  temporary: 40MiB
  executions: 20
  queue: 10
  queue_timeout: 3s
  waiters: 10
  waiters_per_action: 5
"""
FILLED = {
    *(
        "connections",
        "head",
        "head_timeout",
        "body_timeout",
        "drain_timeout",
        "tunnels",
        "tunnel_idle_timeout",
    ),
    *("temporary", "queue", "queue_timeout", "waiters_per_action"),
}


def allowed(limits: Limits) -> int:
    """What the formula in the docs comes to, in bytes."""
    (formula,) = re.findall(r"```text\nmemory = (.*?)```", DOCS, re.DOTALL)
    text = formula.replace("×", "*").replace(" MiB", " * MiB")
    return int(eval(text, {"MiB": MIB, **limits.model_dump()}))


async def hits(proxy: ProxyProcess) -> dict[str, int]:
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin_url}/metrics") as response:
        page = await response.text()
    found = re.findall(r'^onceproxy_limits_hit_total\{limit="(\w+)"\} (\d+)', page, re.MULTILINE)
    return {limit: int(count) for limit, count in found}


class Crowd:
    """Connections of clients, each of which is up to something."""

    def __init__(self, stack: AsyncExitStack, proxy: ProxyProcess, upstream: Upstream) -> None:
        self.stack, self.proxy, self.url = stack, proxy, upstream.url
        self.asked: list[tuple[RawClient, asyncio.Task[Reply]]] = []

    async def client(self) -> RawClient:
        return await self.stack.enter_async_context(connected(self.proxy.url))

    async def ask(self, data: bytes) -> asyncio.Task[Reply]:
        task = asyncio.ensure_future((await self.client()).ask(data))
        self.stack.callback(task.cancel)
        return task

    def pay(self, number: int, body: bytes = b"") -> bytes:
        return a_request("POST", f"{self.url}/hang/{number}", body=body or b"x" * 60_000)

    async def refuses_to_read(self, data: bytes) -> None:
        client = await self.client()
        client.stop_reading()
        client.writer.write(data)

    async def half_a_head(self) -> None:
        (await self.client()).writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * 50_000)

    async def endless_head(self) -> None:
        (await self.client()).writer.write(b"GET / HTTP/1.1\r\n" + (b"X: %s\r\n" % (b"x" * 60_000)) * 120)

    async def half_a_body(self) -> None:
        head = a_request("POST", f"{self.url}/", "Content-Length: 1000000")
        (await self.client()).writer.write(head + b"x" * 400_000)

    async def tunnel(self) -> asyncio.Task[Reply]:
        where = urlsplit(self.url).netloc
        return await self.ask(a_request("CONNECT", where, f"Host: {where}"))


async def test_all_at_once(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(config=CONFIG)
    assert proxy.process is not None
    pid = proxy.process.pid
    limits = Limits(connections=100, head=64 << 10, tunnels=5, memory=MIB, receipt_cache=MIB, executions=20)
    gate = asyncio.Event()
    large = bytes(4 * MIB)

    async def behave(talk: Conversation) -> None:
        if talk.seen.target.startswith("/large"):
            await answer(200, large)(talk)
        elif talk.seen.target.startswith("/hang"):
            await after(gate, answer())(talk)
        else:
            await answer()(talk)

    upstream.always = behave
    assert (await post(proxy.url, f"{upstream.url}/large")).body == large
    forget_peak(pid)
    async with AsyncExitStack() as stack:
        crowd = Crowd(stack, proxy, upstream)
        working = [await crowd.ask(crowd.pay(number)) for number in range(20)]
        await upstream.arrived(21)
        for _ in range(30):
            await crowd.endless_head()
        for _ in range(15):
            await crowd.half_a_head()
            await crowd.half_a_body()
            await crowd.refuses_to_read(a_request("GET", f"{upstream.url}/") * 1000)
        for _ in range(4):
            await crowd.refuses_to_read(a_request("POST", f"{upstream.url}/large", body=b'{"amount": 100}'))
        refused = [
            await crowd.ask(a_request("POST", f"{upstream.url}/", body=bytes(30 * MIB))),
            *[await crowd.tunnel() for _ in range(8)],
            *[await crowd.ask(crowd.pay(0)) for _ in range(8)],
            *[await crowd.ask(crowd.pay(number)) for number in range(100, 115)],
        ]
        refused += [await crowd.ask(a_request("GET", f"{upstream.url}/")) for _ in range(60)]
        async with asyncio.timeout(3 * PATIENCE):
            while not set(await hits(proxy)) >= FILLED:
                await asyncio.sleep(0.1)
        gate.set()
        assert {reply.status for reply in await asyncio.gather(*working)} == {201}
        told = await asyncio.gather(*refused, return_exceptions=True)
    print(f"{peak(pid) / MIB:.0f} MiB of {allowed(limits) / MIB:.0f}; {await hits(proxy)}")
    assert peak(pid) < allowed(limits)
    slugs = {reply.slug for reply in told if isinstance(reply, Reply) and reply.status >= 400}
    assert slugs == {"overloaded", "in-progress"}

    reply = await post(proxy.url, f"{upstream.url}/afterwards")
    assert (reply.status, reply.told["state"]) == (201, "completed")
    assert (await post(proxy.url, f"{upstream.url}/afterwards")).replayed
