"""Many large answers at once: from the upstream to client, disk and database in pieces, never whole."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from itertools import repeat
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from faults.conftest import StartProxy
from proxies import ProxyProcess
from upstreams import Conversation, Upstream

# `make memory` has 200; fewer take less time, and would still be too much for the limit if they were held.
ANSWERS = int(os.environ.get("ONCEPROXY_LARGE_ANSWERS", "60"))
SIZE = 10 << 20
LIMIT = 500 << 20
BLOCK = 64 << 10

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not Path("/proc/self/clear_refs").exists(), reason="reads the memory's peak from /proc"
    ),
]


def block(target: str) -> bytes:
    return hashlib.shake_128(target.encode()).digest(BLOCK)


def digest(target: str) -> str:
    whole = hashlib.sha256()
    for part in repeat(block(target), SIZE // BLOCK):
        whole.update(part)
    return whole.hexdigest()


class LargeAnswers:
    """Answers when all requests are there, so that all bodies are on their way at once."""

    def __init__(self) -> None:
        self.all_there = asyncio.Barrier(ANSWERS)

    async def __call__(self, talk: Conversation) -> None:
        await self.all_there.wait()
        data = block(talk.seen.target)
        if int(talk.seen.target.removeprefix("/")) % 2:
            await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
            for _ in range(SIZE // BLOCK):
                await talk.send(data)
        else:
            await talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(SIZE // BLOCK):
                await talk.send(b"%x\r\n%s\r\n" % (BLOCK, data))
            await talk.send(b"0\r\n\r\n")


def peak(proxy: ProxyProcess) -> int:
    """The most resident memory that the process has had since ``forget_peak``, in bytes."""
    assert proxy.process is not None
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def forget_peak(proxy: ProxyProcess) -> None:
    assert proxy.process is not None
    Path(f"/proc/{proxy.process.pid}/clear_refs").write_text("5")


async def ask(session: aiohttp.ClientSession, proxy: ProxyProcess, url: str) -> tuple[str, str, bool]:
    """The target, the digest of the body, and whether it was a replay."""
    async with session.post(url, data=b"export", proxy=proxy.url) as response:
        assert response.status == 200, await response.text()
        body = hashlib.sha256()
        async for piece in response.content.iter_any():
            body.update(piece)
        return response.url.path, body.hexdigest(), "Idempotency-Replayed" in response.headers


async def test_many_large_answers_at_once_stay_out_of_memory(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    upstream.always = LargeAnswers()
    proxy = await start_proxy()
    urls = [f"{upstream.url}/{number}" for number in range(ANSWERS)]
    timeout = aiohttp.ClientTimeout(total=300)
    told = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        for replayed in (False, True):
            forget_peak(proxy)
            began = time.monotonic()
            answers = await asyncio.gather(*(ask(session, proxy, url) for url in urls))
            told.append(f"{peak(proxy) >> 20} MiB in {time.monotonic() - began:.0f} s")
            for target, got, was_replay in answers:
                assert (got, was_replay) == (digest(target), replayed)
            assert peak(proxy) < LIMIT
    print(f"{ANSWERS} x {SIZE >> 20} MiB: sent {told[0]}, replayed {told[1]}")
    assert upstream.executions == ANSWERS
    assert await database.fetchval("SELECT count(*) FROM receipts WHERE state = 'completed'") == ANSWERS
