"""A client that leaves, at whatever step: what it asked for is done once, if it was asked for in full."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from faults.conftest import StartProxy
from onceproxy.crashpoints import POINTS, VARIABLE
from proxies import ProxyProcess
from raw_client import a_request, ask, connected
from upstreams import Conversation, Upstream

KEY = "Idempotency-Key: order-1"
METHODS = ("POST", "PUT", "DELETE")


async def suspended(proxy: ProxyProcess) -> None:
    """Wait until the proxy has come to the point where it suspends itself."""
    assert proxy.process is not None
    status = Path(f"/proc/{proxy.process.pid}/stat")
    async with asyncio.timeout(20):
        while status.read_text().rpartition(")")[2].split()[0] != "T":
            await asyncio.sleep(0.01)


async def in_two_pieces(talk: Conversation) -> None:
    """Answer so slowly that it is given to the client as a stream."""
    await talk.send(
        b"HTTP/1.1 201 Made\r\nContent-Type: text/event-stream\r\nContent-Length: 10\r\n\r\n12345"
    )
    await asyncio.sleep(0.05)
    await talk.send(b"67890")


@pytest.mark.parametrize(("point", "method"), [(point, METHODS[at % 3]) for at, point in enumerate(POINTS)])
async def test_at_each_step(start_proxy: StartProxy, upstream: Upstream, point: str, method: str) -> None:
    proxy = await start_proxy(environment={VARIABLE: f"{point}:stop"})
    assert proxy.process is not None
    if point == "amid-stream":
        upstream.will(in_two_pieces)
    request = a_request(method, f"{upstream.url}/charges", KEY, body=b"1")
    async with connected(proxy.url) as client:
        await client.send(request)
        await suspended(proxy)
    proxy.process.send_signal(signal.SIGCONT)

    replies = [await ask(proxy.url, request) for _ in (1, 2)]

    assert [reply.status for reply in replies] == [201, 201]
    assert replies[1].replayed
    assert replies[0].own == replies[1].own
    # Before the claim it is for the proxy to choose whether it still does what nobody waits for.
    assert replies[0].replayed or point == "before-claim"
    assert upstream.executions == 1


async def test_before_the_request_is_whole(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy()
    for number, method in enumerate(METHODS, 1):
        request = a_request(method, f"{upstream.url}/charges/{number}", body=b"12345678")
        head = request.index(b"\r\n\r\n")
        for cut in (1, 20, head, head + 4, len(request) - 1):
            for half_open in (True, False):
                async with connected(proxy.url) as client:
                    await client.send(request[:cut])
                    if half_open:
                        client.writer.write_eof()
                        await client.reader.read()

        first, second = [await ask(proxy.url, request) for _ in (1, 2)]

        assert first.told == {"state": "completed", "attempt": 1, "reason": "status-201"}, method
        assert not first.replayed, method
        assert second.replayed, method
        assert upstream.executions == number, method
