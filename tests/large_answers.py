"""Large answers, all at once: an upstream that gives them, and clients that keep none of them."""

from __future__ import annotations

import asyncio
import hashlib
from itertools import repeat

import aiohttp

from upstreams import Conversation

SIZE = 10 << 20
BLOCK = 64 << 10


def digest(target: str) -> str:
    """Return the digest of the body that is due to a target."""
    whole = hashlib.sha256()
    for part in repeat(_block(target), SIZE // BLOCK):
        whole.update(part)
    return whole.hexdigest()


class LargeAnswers:
    """Answers when as many requests as ``count`` are there, so that all bodies are on their way at once."""

    def __init__(self, count: int) -> None:
        self._all_there = asyncio.Barrier(count)

    async def __call__(self, talk: Conversation) -> None:
        await self._all_there.wait()
        data = _block(talk.seen.target)
        if int(talk.seen.target.removeprefix("/")) % 2:
            await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
            for _ in range(SIZE // BLOCK):
                await talk.send(data)
        else:
            await talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(SIZE // BLOCK):
                await talk.send(b"%x\r\n%s\r\n" % (BLOCK, data))
            await talk.send(b"0\r\n\r\n")


async def ask(session: aiohttp.ClientSession, proxy: str, url: str) -> tuple[str, str, bool]:
    """Return the target, the digest of the body, and whether it was a replay."""
    async with session.post(url, data=b"export", proxy=proxy) as response:
        assert response.status == 200, await response.text()
        body = hashlib.sha256()
        async for piece in response.content.iter_any():
            body.update(piece)
        return response.url.path, body.hexdigest(), "Idempotency-Replayed" in response.headers


async def ask_for_all(proxy: str, urls: list[str]) -> list[tuple[str, str, bool]]:
    """Ask a proxy for all of them at once."""
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        return await asyncio.gather(*(ask(session, proxy, url) for url in urls))


def _block(target: str) -> bytes:
    return hashlib.shake_128(target.encode()).digest(BLOCK)
