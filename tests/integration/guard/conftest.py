"""The guard over a real database and real sockets, without the ingress: policies are given as values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from onceproxy.core.egress import EgressPolicy
from onceproxy.core.messages import BytesBody, Origin, RawHeaders, Request
from onceproxy.guard.answers import Answer
from onceproxy.guard.guard import Guard, GuardLimits
from onceproxy.guard.ports import Meter
from onceproxy.store.postgres import PostgresStore
from onceproxy.upstream.client import UpstreamClient, UpstreamSettings
from onceproxy.upstream.egress import Gate
from onceproxy.upstream.tls import UpstreamTls
from stores import OpenStore, an_action
from upstreams import Upstream

HEADERS: RawHeaders = ((b"Authorization", b"Bearer t"), (b"Idempotency-Key", b"order-1"))


@dataclass
class Side:
    """One process: a guard and its store. ``post`` sends a copy of the action through it."""

    guard: Guard
    store: PostgresStore
    upstream: Upstream

    async def post(self, name: str = "order", body: bytes = b'{"reference": "r1"}', **changes: Any) -> Answer:
        """Send one copy of the action ``name``; ``changes`` are the action's or its policy's."""
        action = an_action(name, **{"key": b"order-1", **changes})
        return await self.guard.once(action, self.request(body))

    def request(self, body: bytes = b'{"reference": "r1"}') -> Request:
        origin = Origin("http", "127.0.0.1", self.upstream.port)
        headers = (*HEADERS, (b"Content-Type", b"application/json"))
        return Request("POST", origin, b"/orders", headers, BytesBody(body))


StartSide = Callable[..., Awaitable[Side]]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """An upstream that counts."""
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def start_side(open_store: OpenStore, upstream: Upstream) -> AsyncIterator[StartSide]:
    """Starts processes over one database and one upstream; takes the keywords of ``PostgresStore.open``."""
    started: list[tuple[Guard, UpstreamClient]] = []

    async def start_one(
        meter: Meter | None = None, limits: GuardLimits | None = None, url: str = "", **settings: Any
    ) -> Side:
        store = await (open_store(url, **settings) if url else open_store(**settings))
        client = UpstreamClient(UpstreamSettings(), UpstreamTls(), Gate(EgressPolicy(private=True)))
        guard = Guard(store, client, limits, meter=meter)
        started.append((guard, client))
        return Side(guard, store, upstream)

    yield start_one
    for guard, client in started:
        await guard.stop(0)
        await client.aclose()


@pytest.fixture
async def side(start_side: StartSide) -> Side:
    """One process."""
    return await start_side()
