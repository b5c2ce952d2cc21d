"""Limits, each hit at a whole proxy: what the client hears, that nothing was sent, and that all goes on."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web_protocol

from integration.proxy.conftest import Receipts, StartProxy
from integration.proxy.test_upgrades import WEBSOCKET, switch
from onceproxy.guard.room import Room
from onceproxy.serve import Proxy
from raw_client import RawClient, Reply, a_request, connected, post
from upstreams import PATIENCE, Upstream, after, answer, hang


async def hits(proxy: Proxy, limit: str) -> int:
    """How often the proxy says that a limit was hit."""
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin_url}/metrics") as response:
        page = await response.text()
    found = re.search(rf'^onceproxy_limits_hit_total{{limit="{limit}"}} (\d+)', page, re.MULTILINE)
    return int(found[1]) if found else 0


def limits(**settings: Any) -> dict[str, Any]:
    return {"limits": settings}


def overloaded(reply: Reply, limit: str) -> bool:
    """Whether a reply says which limit has no room, and when to come again."""
    assert reply.status == 503
    assert reply.slug == "overloaded"
    assert int(reply.one("Retry-After")) >= 1
    assert f"limits.{limit}" in reply.problem()["detail"]
    return bool(reply.problem()["limit"] == limit)


async def test_beyond_the_executions_and_their_queue_nothing_is_sent(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await start_proxy(**limits(executions=1, queue=1))
    gate = asyncio.Event()
    upstream.always = after(gate, answer())
    first = asyncio.ensure_future(post(proxy.url, f"{upstream.url}/1"))
    await upstream.arrived(1)
    second = asyncio.ensure_future(post(proxy.url, f"{upstream.url}/2"))
    async with asyncio.timeout(PATIENCE):
        while not proxy._guard._places.queued:
            await asyncio.sleep(0.005)

    assert overloaded(await post(proxy.url, f"{upstream.url}/3"), "queue")
    assert await receipts() == ["claimed"]
    gate.set()

    assert [reply.status for reply in await asyncio.gather(first, second)] == [201, 201]
    assert (await post(proxy.url, f"{upstream.url}/3")).status == 201
    assert upstream.executions == 3
    assert await hits(proxy, "queue") == 1


async def hit(proxy: Proxy, limit: str, times: int = 1) -> None:
    """Wait until the proxy says that a limit was hit so often."""
    async with asyncio.timeout(PATIENCE):
        while await hits(proxy, limit) < times:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("limit", ["connections", "connections_per_client"])
async def test_one_more_connection_is_told_that_there_is_no_room(
    start_proxy: StartProxy, upstream: Upstream, limit: str
) -> None:
    proxy = await start_proxy(**limits(**{limit: 2}))
    get = a_request("GET", f"{upstream.url}/")
    async with connected(proxy.url) as one:
        assert (await one.ask(get)).status == 201
        async with connected(proxy.url) as two, connected(proxy.url) as three:
            assert (await two.ask(get)).status == 201
            assert overloaded(await three.ask(get), limit)
            assert await three.ended()
            assert (await one.ask(get)).status == 201
        async with asyncio.timeout(PATIENCE):
            while proxy._listener._clients._admission._clients.total() > 1:
                await asyncio.sleep(0.005)
        async with connected(proxy.url) as four:
            assert (await four.ask(get)).status == 201
    assert len(upstream.requests) == 4
    assert await hits(proxy, limit) == 1


async def test_what_is_inside_a_tunnel_is_one_connection_with_it(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(**limits(connections=1))
    for _ in range(2):
        async with connected(proxy.url) as client:
            assert (await client.connect(urlsplit(upstream.url).netloc)).status == 200
            assert (
                await client.ask(a_request("GET", "/", f"Host: {urlsplit(upstream.url).netloc}"))
            ).status == 201
        async with asyncio.timeout(PATIENCE):
            while proxy._listener._clients._admission._clients:
                await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("limit", "lines"),
    [
        ("header_lines", [f"X-{number}: 1" for number in range(20)]),
        ("head", [f"X-{number}: {'x' * 1000}" for number in range(8)]),
        ("header", ["X: " + "x" * 5000]),
    ],
)
async def test_a_head_that_is_too_large_is_refused(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts, limit: str, lines: list[str]
) -> None:
    proxy = await start_proxy(**limits(header_lines=16, head=7 * 1024, header=4 * 1024))
    async with connected(proxy.url) as client:
        assert (await client.ask(a_request("POST", f"{upstream.url}/", body=bytes(20_000)))).status == 201
        reply = await client.ask(a_request("POST", f"{upstream.url}/2", *lines, body=b"1"))

        assert (reply.status, reply.slug) == (431, "headers-too-large")
        assert f"limits.{limit}" in reply.problem()["detail"]
        assert await client.ended()
    assert upstream.executions == 1
    assert await hits(proxy, limit) == 1


async def test_a_head_without_end_is_refused_before_it_ends(start_proxy: StartProxy) -> None:
    proxy = await start_proxy(**limits(head=4096))
    async with connected(proxy.url) as client:
        await client.send(b"GET http://127.0.0.1:1/ HTTP/1.1\r\n" + b"X-1: %s\r\n" % bytes(b"x" * 3000))
        await client.send(b"X-2: %s" % bytes(b"x" * 3000))
        assert (await client.reply()).slug == "headers-too-large"
        assert await client.ended()
    assert await hits(proxy, "head") == 1


async def test_more_requests_are_not_read_ahead_than_a_head_may_be_large(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(**limits(head="64KiB"))
    gate = asyncio.Event()
    upstream.always = after(gate, answer())
    line = f"X: {'x' * 50_000}"
    async with connected(proxy.url) as client:
        for number in range(60):
            client.writer.write(a_request("GET", f"{upstream.url}/{number}", line))
        await upstream.arrived(1)
        (connection,) = proxy._listener._clients.connections
        async with asyncio.timeout(PATIENCE):
            while not connection._buffer_paused:
                await asyncio.sleep(0.005)
        assert len(connection._messages) < 16  # what one read can bring, and no queue of the library's size
        gate.set()
        replies = [await client.reply() for _ in range(60)]
    assert [reply.body for reply in replies] == [b'{"target": "/%d"}' % number for number in range(60)]
    assert [seen.target for seen in upstream.requests] == [f"/{number}" for number in range(60)]


GUARDED, PASSED_ON = "POST", "GET"


@pytest.mark.parametrize("method", [GUARDED, PASSED_ON])
@pytest.mark.parametrize("limit", ["body_timeout", "body_rate"])
async def test_a_body_that_arrives_too_slowly_is_given_up(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts, limit: str, method: str
) -> None:
    proxy = await start_proxy(**limits(body_timeout="100ms", body_rate="1MiB"))
    async with connected(proxy.url) as client:
        await client.send(a_request(method, f"{upstream.url}/", "Content-Length: 100000"))
        trickling = asyncio.ensure_future(trickle(client)) if limit == "body_rate" else None
        reply = await client.reply()
        if trickling is not None:
            trickling.cancel()
            await asyncio.gather(trickling, return_exceptions=True)

        assert (reply.status, reply.slug) == (408, "request-timeout")
        assert f"limits.{limit}" in reply.problem()["detail"]
        assert await client.ended()
    assert upstream.requests == []
    assert await receipts() == []
    assert await hits(proxy, limit) == 1
    assert (await post(proxy.url, f"{upstream.url}/")).status == 201


async def trickle(client: RawClient) -> None:
    for _ in range(2000):
        client.writer.write(b"x")
        await asyncio.sleep(0.01)


async def test_a_client_that_takes_nothing_is_cut_and_its_receipt_is_kept(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await start_proxy(**limits(drain_timeout="100ms"))
    large = bytes(12 << 20)
    upstream.always = answer(200, large)
    async with connected(proxy.url) as client:
        client.stop_reading()
        await client.send(a_request("POST", f"{upstream.url}/", body=b"1"))
        await hit(proxy, "drain_timeout")
    async with asyncio.timeout(PATIENCE):
        while await receipts() != ["completed"]:
            await asyncio.sleep(0.01)

    replay = await post(proxy.url, f"{upstream.url}/", body=b"1")
    assert (replay.replayed, replay.body) == (True, large)
    assert upstream.executions == 1


async def test_a_client_that_takes_nothing_of_what_is_passed_on_is_cut(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(**limits(drain_timeout="100ms"))
    upstream.always = answer(200, bytes(4 << 20))
    async with connected(proxy.url) as client:
        client.stop_reading()
        await client.send(a_request("GET", f"{upstream.url}/", "Connection: close"))
        await hit(proxy, "drain_timeout")
    async with asyncio.timeout(PATIENCE):
        while proxy._listener._clients.connections:
            await asyncio.sleep(0.01)


async def opened(
    stack: AsyncExitStack, proxy: Proxy, upstream: Upstream, kind: str
) -> tuple[RawClient, Reply]:
    """One more tunnel, or what is said in its place."""
    client = await stack.enter_async_context(connected(proxy.url))
    if kind == "tunnel":
        return client, await client.connect(urlsplit(upstream.url).netloc)
    return client, await client.ask(a_request("GET", f"{upstream.url}/", *WEBSOCKET))


@pytest.mark.parametrize(("kind", "status"), [("tunnel", 200), ("upgrade", 101)])
async def test_tunnels_are_counted(
    start_proxy: StartProxy, upstream: Upstream, kind: str, status: int
) -> None:
    proxy = await start_proxy(**limits(tunnels=2), tls={"intercept": False})
    upstream.always = switch("websocket")
    async with AsyncExitStack() as stack:
        tunnels = [await opened(stack, proxy, upstream, kind) for _ in range(2)]
        assert [reply.status for _, reply in tunnels] == [status, status]
        _, refused = await opened(stack, proxy, upstream, kind)
        assert overloaded(refused, "tunnels")
        connections = upstream.connections
        await tunnels[0][0].close()
        async with asyncio.timeout(PATIENCE):
            while proxy._listener._tunnels._open > 1:
                await asyncio.sleep(0.005)
        assert (await opened(stack, proxy, upstream, kind))[1].status == status
    assert (connections, upstream.connections) == (2, 3)
    assert await hits(proxy, "tunnels") == 1


@pytest.mark.parametrize("kind", ["tunnel", "upgrade"])
async def test_a_tunnel_in_which_nothing_moves_is_cut(
    start_proxy: StartProxy, upstream: Upstream, kind: str
) -> None:
    proxy = await start_proxy(**limits(tunnel_idle_timeout="100ms"), tls={"intercept": False})
    upstream.always = switch("websocket")
    async with AsyncExitStack() as stack:
        client, _ = await opened(stack, proxy, upstream, kind)
        async with asyncio.timeout(PATIENCE):
            await client.reader.read()  # to its end, whatever was said before
        await hit(proxy, "tunnel_idle_timeout")
        assert proxy._listener._tunnels._open == 0


async def test_a_stop_does_not_wait_for_tunnels(start_proxy: StartProxy, upstream: Upstream) -> None:
    """With the patience that it has for answers it would be over the time."""
    proxy = await start_proxy(tls={"intercept": False})
    upstream.always = hang
    async with AsyncExitStack() as stack:
        clients = [(await opened(stack, proxy, upstream, "tunnel"))[0] for _ in range(3)]
        proxy._listener.stop_listening()
        async with asyncio.timeout(PATIENCE):
            await proxy._listener.close(PATIENCE * 10)
        for client in clients:
            assert await client.ended()


async def test_a_stop_waits_for_an_answer_that_is_being_written_but_once(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy()
    upstream.always = hang
    waits: list[float] = []

    def ceil_timeout(delay: float, *args: Any) -> Any:
        waits.append(delay)
        return real(delay, *args)

    real = vars(web_protocol)["ceil_timeout"]
    async with connected(proxy.url) as client:
        await client.send(a_request("GET", f"{upstream.url}/"))
        await upstream.arrived(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(web_protocol, "ceil_timeout", ceil_timeout)
            await proxy._listener.close(0.2)
        assert await client.ended()
    assert waits
    assert max(waits) < 0.2, "the library does not wait once more"


async def test_a_body_that_finds_no_room_is_refused(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await start_proxy(**limits(temporary="1MiB"))
    assert overloaded(await post(proxy.url, f"{upstream.url}/", body=bytes(600 << 10)), "temporary")
    assert await receipts() == []
    assert (await post(proxy.url, f"{upstream.url}/", body=bytes(500 << 10))).status == 201
    assert upstream.executions == 1
    assert await hits(proxy, "temporary") == 1


async def test_an_answer_that_finds_no_room_reaches_its_client_and_is_not_kept(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    take_file = Room.take_file

    def measured(room: Room, size: int) -> bool:
        nonlocal most
        fits = take_file(room, size)
        most = max(most, room.in_files)
        return fits

    monkeypatch.setattr(Room, "take_file", measured)
    proxy = await start_proxy(**limits(temporary="1MiB"))
    large = bytes(range(256)) * (16 << 10)
    upstream.always = answer(200, large)

    reply = await post(proxy.url, f"{upstream.url}/")
    assert (reply.status, reply.body) == (200, large)
    copy = await post(proxy.url, f"{upstream.url}/")
    assert (copy.status, copy.slug) == (409, "receipt-body-not-kept")
    assert most < 2 << 20, "what the client has taken is forgotten"
    assert await receipts() == ["completed"]
    assert upstream.executions == 1
    assert await hits(proxy, "temporary") == 1


async def test_a_replay_that_finds_no_room_is_told_so(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await start_proxy(**limits(temporary="2MiB"))
    large = bytes(1200 << 10)
    upstream.always = answer(200, large)
    assert (await post(proxy.url, f"{upstream.url}/")).body == large

    assert overloaded(await post(proxy.url, f"{upstream.url}/"), "temporary")
    assert await receipts() == ["completed"]
    roomy = await start_proxy()
    assert (await post(roomy.url, f"{upstream.url}/")).body == large
    assert upstream.executions == 1


async def test_a_host_that_has_no_certificate_yet_is_told_to_come_later(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(**limits(certificates_per_minute=1))
    async with connected(proxy.url) as one, connected(proxy.url) as two, connected(proxy.url) as three:
        assert (await one.connect("a.example:443")).status == 200
        assert overloaded(await two.connect("b.example:443"), "certificates_per_minute")
        assert await two.ended()
        assert (await three.connect("a.example:443")).status == 200
    assert await hits(proxy, "certificates_per_minute") == 1
