"""The same action on fifty connections to three processes: one execution, and one answer for all."""

from __future__ import annotations

import asyncio
from pathlib import Path

from faults.conftest import StartProxy
from raw_client import a_request, connected
from upstreams import Upstream, after, answer

CONNECTIONS = 50


async def test_fifty_connections(start_proxy: StartProxy, upstream: Upstream, tmp_path: Path) -> None:
    proxies = await asyncio.gather(*(start_proxy(data_dir=tmp_path / str(number)) for number in range(3)))
    gate = asyncio.Event()

    async def copy(number: int, request: bytes) -> tuple[bool, tuple[bytes, bytes]]:
        async with connected(proxies[number % 3].url) as client:
            reply = await client.ask(request)
            return reply.replayed, reply.own

    for count, method in enumerate(("POST", "PUT", "DELETE"), 1):
        gate.clear()
        upstream.will(after(gate, answer(201, b'{"id": "ch_1"}', (("X-A", "1"), ("x-a", "2")))))
        request = a_request(method, f"{upstream.url}/charges/{count}", body=b'{"amount": 1}')
        copies = [asyncio.create_task(copy(number, request)) for number in range(CONNECTIONS)]
        await upstream.arrived(count)
        gate.set()
        answers = await asyncio.gather(*copies)

        assert upstream.executions == count, method
        assert sum(not replayed for replayed, _ in answers) == 1, method
        assert len({own for _, own in answers}) == 1, method
        assert answers[0][1][0].startswith(b"HTTP/1.1 201 Made"), method
