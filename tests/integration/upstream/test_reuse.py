"""Which connections a guarded request may reuse: what is in doubt on a stale one is in doubt for nothing."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import replace

import pytest

from integration.upstream.conftest import MakeClient, a_request, origin_of, yes
from integration.upstream.line import Line, Peer
from onceproxy.core.attempts import Attempt, WirePhase
from onceproxy.core.messages import Interim
from onceproxy.upstream.client import UpstreamClient
from upstreams import Upstream, after, answer, raw

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


async def test_a_connection_that_idled_less_than_allowed_is_reused(
    client: UpstreamClient, upstream: Upstream
) -> None:
    for _ in range(3):
        await client.send(a_request(origin_of(upstream)), yes, reuse_idle=60.0)

    assert (upstream.executions, upstream.connections) == (3, 1)


async def test_a_connection_that_idled_for_longer_is_not(client: UpstreamClient, upstream: Upstream) -> None:
    await client.send(a_request(origin_of(upstream)), yes)
    await asyncio.sleep(0.02)
    await client.send(a_request(origin_of(upstream)), yes, reuse_idle=0.01)

    assert (upstream.executions, upstream.connections) == (2, 2)


async def test_nothing_is_reused_where_that_is_off(client: UpstreamClient, upstream: Upstream) -> None:
    for _ in range(3):
        await client.send(a_request(origin_of(upstream)), yes, reuse_idle=0)

    assert (upstream.executions, upstream.connections) == (3, 3)


async def test_what_is_too_old_for_one_request_serves_another(
    client: UpstreamClient, upstream: Upstream
) -> None:
    for reuse_idle in (60.0, 0, 60.0, 60.0):
        await client.send(a_request(origin_of(upstream)), yes, reuse_idle=reuse_idle)

    assert [seen.connection for seen in upstream.requests] == [1, 2, 2, 2]


async def test_an_idle_connection_keeps_nothing_of_who_asked_last(
    client: UpstreamClient, upstream: Upstream
) -> None:
    class Asked:
        def told(self, interim: Interim) -> None:
            """Take it."""

    asked = Asked()
    gone = weakref.ref(asked)
    await client.send(a_request(origin_of(upstream)), yes, interim=asked.told)
    del asked
    assert gone() is None

    await client.send(a_request(origin_of(upstream)), yes, reuse_idle=60.0)
    assert upstream.connections == 1


async def test_origins_do_not_share_connections(client: UpstreamClient, upstream: Upstream) -> None:
    async with Upstream() as other:
        for _ in range(2):
            await client.send(a_request(origin_of(upstream)), yes)
            await client.send(a_request(origin_of(other)), yes)

        assert (upstream.connections, other.connections) == (1, 1)
        assert (upstream.executions, other.executions) == (2, 2)


@pytest.mark.parametrize("seen_by_the_loop", [False, True], ids=["in the kernel", "seen"])
@pytest.mark.parametrize("news", [b"x", OK, b"\r\n", "close", "reset"])
async def test_an_idle_connection_that_got_something_is_not_reused(
    client: UpstreamClient, line: Line, news: bytes | str, seen_by_the_loop: bool
) -> None:
    first = await line.accept_first(client)
    if isinstance(news, bytes):
        first.send(news)
    else:
        getattr(first, news)()
    if seen_by_the_loop and isinstance(news, bytes):
        assert await first.ended() == b""
    elif seen_by_the_loop:
        await asyncio.sleep(0.02)  # either way it must not be reused: here the loop most likely knows

    attempt = await exchange(client, line)

    assert (attempt.phase, attempt.status) == (WirePhase.BODY_RECEIVED, 200)


async def test_an_answer_that_nobody_asked_for_is_no_answer(client: UpstreamClient, line: Line) -> None:
    # A second response on an idle connection would be taken for the next request's: a wrong receipt.
    first = await line.accept_first(client)
    first.send(b"HTTP/1.1 299 Smuggled\r\nContent-Length: 0\r\n\r\n")

    assert (await exchange(client, line)).status == 200


@pytest.mark.parametrize(
    "last",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        OK + b"extra",
    ],
)
async def test_an_answer_that_ends_its_connection(
    client: UpstreamClient, upstream: Upstream, last: bytes
) -> None:
    upstream.will(raw(last, then="keep"))
    for _ in range(2):
        assert (await client.send(a_request(origin_of(upstream)), yes)).status in (200, 201)

    assert upstream.connections == 2


async def test_concurrent_requests_have_connections_of_their_own(
    client: UpstreamClient, upstream: Upstream
) -> None:
    together = asyncio.Event()
    upstream.always = after(together, answer())
    sendings = [
        asyncio.create_task(client.send(a_request(origin_of(upstream), target=b"/%d" % n), yes))
        for n in range(20)
    ]
    await upstream.arrived(20)
    together.set()

    attempts = await asyncio.gather(*sendings)

    bodies = [attempt.response.body.read() for attempt in attempts if attempt.response is not None]
    assert bodies == [b'{"target": "/%d"}' % n for n in range(20)]
    assert upstream.connections == 20


async def test_only_so_many_connections_are_kept(make_client: MakeClient, upstream: Upstream) -> None:
    client = make_client(most_idle=2)
    for number in (5, 10):
        # None is answered before all are there, so each has a connection of its own.
        together = asyncio.Event()
        upstream.always = after(together, answer())
        sendings = [asyncio.create_task(client.send(a_request(origin_of(upstream)), yes)) for _ in range(5)]
        await upstream.arrived(number)
        together.set()
        await asyncio.gather(*sendings)

    assert upstream.connections == 5 + 3


async def test_as_many_are_kept_as_clients_have(client: UpstreamClient, upstream: Upstream) -> None:
    for number in (128, 256):
        together = asyncio.Event()
        upstream.always = after(together, answer())
        sendings = [asyncio.create_task(client.send(a_request(origin_of(upstream)), yes)) for _ in range(128)]
        await upstream.arrived(number)
        together.set()
        await asyncio.gather(*sendings)

    assert upstream.connections == 128


async def test_idle_connections_are_closed_in_time(make_client: MakeClient, line: Line) -> None:
    peer = await line.accept_first(make_client(idle_timeout=0.05))

    assert await peer.ended() == b""


async def test_closing_the_client_closes_them(make_client: MakeClient, line: Line) -> None:
    client = make_client()
    peer = await line.accept_first(client)
    await client.aclose()

    assert await peer.ended() == b""


async def exchange(client: UpstreamClient, line: Line) -> Attempt:
    """One exchange on a connection of its own."""
    sending = asyncio.create_task(client.send(a_request(line.origin), yes))
    peer: Peer = await line.accept()
    await peer.request(len(b"amount=1"))
    peer.send(OK)
    return await sending


@pytest.mark.parametrize("scheme", ["NTLM", "negotiate", "Negotiate"])
async def test_a_connection_that_is_logged_in_is_for_nobody_else(
    client: UpstreamClient, upstream: Upstream, scheme: str
) -> None:
    """Such a login is the connection's: whatever came next on it would be done in its name."""
    asking, mine = a_request(origin_of(upstream)), ((b"Authorization", f"{scheme} abc".encode()),)
    upstream.will(answer(401), answer(200))
    for headers in (mine, mine, (), ()):
        await client.send(replace(asking, headers=headers), yes, reuse_idle=60.0)

    assert [seen.connection for seen in upstream.requests] == [1, 1, 2, 2]
