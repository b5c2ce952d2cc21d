"""kill -9 amid a stream: the client has got no end, and the next copy hears what is known."""

from __future__ import annotations

import asyncio

import pytest

from faults.conftest import StartProxy
from onceproxy.testing import crash_at
from raw_client import a_request, ask, connected
from upstreams import PATIENCE, Conversation, Upstream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST, LAST, END = b"9\r\ndata: 1\n\n\r\n", b"9\r\ndata: 2\n\n\r\n", b"0\r\n\r\n"
KEY = "Idempotency-Key: run-1"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("point", ["amid-stream", "before-completion", "after-completion"])
async def test_a_stream_of_a_killed_proxy(
    start_proxy: StartProxy, upstream: Upstream, point: str, method: str
) -> None:
    seen = asyncio.Event()

    async def events(talk: Conversation) -> None:
        await talk.send(HEAD + FIRST)
        await seen.wait()
        await talk.send(LAST + END)

    upstream.will(events)
    proxy = await start_proxy(environment=crash_at(point).environment)
    async with connected(proxy.url) as client, asyncio.timeout(PATIENCE):
        await client.send(a_request(method, f"{upstream.url}/run", KEY, body=b"1"))
        await upstream.arrived(1)
        got = b""
        try:
            while piece := await client.reader.read(1 << 16):
                got += piece
                if FIRST in got:
                    seen.set()
        except ConnectionResetError:
            pass
    await proxy.ended()
    if point != "amid-stream":  # there the kill may overtake what the client was just given
        assert got.endswith(FIRST + LAST)
    assert END not in got

    proxy.environment = {}
    await proxy.start()
    reply = await ask(proxy.url, a_request(method, f"{upstream.url}/run", KEY, body=b"1"))

    if point == "after-completion":
        assert (reply.status, reply.replayed, reply.body) == (200, True, b"data: 1\n\ndata: 2\n\n")
    else:
        assert reply.slug == "outcome-unknown"
    assert upstream.executions == 1
