"""Unguarded requests: they stream both ways, and only a read on a stale connection is sent once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from integration.upstream.conftest import SHORT, MakeClient, a_request, origin_of
from integration.upstream.line import Line, Peer
from onceproxy.core.attempts import Failure, SendFailed, WirePhase
from onceproxy.upstream.client import UpstreamClient
from onceproxy.upstream.streams import UpstreamResponse
from upstreams import Upstream, answer

LARGE = 64 << 20


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


async def all_of(response: UpstreamResponse) -> bytes:
    body = b"".join([piece async for piece in response.chunks()])
    await response.aclose()
    return body


async def test_a_response_is_there_before_its_body(client: UpstreamClient, line: Line) -> None:
    opening = asyncio.create_task(client.open(a_request(line.origin, "GET", b"")))
    peer = await line.accept()
    await peer.request()
    peer.send(b"HTTP/1.1 200 Fine\r\nX-A: 1\r\nContent-Length: 6\r\n\r\n")

    response = await opening
    chunks = response.chunks()
    peer.send(b"one")
    assert await anext(chunks) == b"one"
    peer.send(b"two")
    assert await anext(chunks) == b"two"
    assert await anext(chunks, None) is None
    await response.aclose()

    assert (response.status, response.reason, response.content_length) == (200, b"Fine", 6)
    assert response.headers == ((b"X-A", b"1"), (b"Content-Length", b"6"))


async def test_an_upstream_is_slowed_down_to_its_reader(client: UpstreamClient, line: Line) -> None:
    opening = asyncio.create_task(client.open(a_request(line.origin, "GET", b"")))
    peer = await line.accept()
    await peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
    response = await opening
    writing = asyncio.create_task(asyncio.get_running_loop().sock_sendall(peer.socket, b"x" * LARGE))

    chunks = response.chunks()
    size = len(await anext(chunks))
    assert not writing.done()  # nobody reads, so it can't have been taken all
    async for piece in chunks:
        size += len(piece)
    await writing
    await response.aclose()

    assert size == LARGE


@pytest.mark.parametrize("length", [None, 6], ids=["chunked", "with a length"])
async def test_a_body_is_sent_as_it_comes(client: UpstreamClient, line: Line, length: int | None) -> None:
    there = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"one"
        await there.wait()
        yield b""
        yield b"two"

    opening = asyncio.create_task(
        client.open(a_request(line.origin, "OPTIONS", b""), body=slow(), length=length)
    )
    peer = await line.accept()
    while b"one" not in peer.received:
        await peer.read()
    there.set()
    while not peer.received.endswith(b"0\r\n\r\n" if length is None else b"two"):
        await peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await (await opening).aclose()

    head, _, body = peer.received.partition(b"\r\n\r\n")
    if length is None:
        assert b"Transfer-Encoding: chunked" in head
        assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    else:
        assert b"Content-Length: 6" in head
        assert body == b"onetwo"


async def test_a_body_that_breaks_off_is_never_whole_upstream(client: UpstreamClient, line: Line) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"one"
        raise ConnectionResetError("the client left")

    opening = asyncio.create_task(client.open(a_request(line.origin, "OPTIONS", b""), body=broken()))
    peer = await line.accept()

    with pytest.raises(SendFailed):
        await opening

    assert not (await peer.ended()).endswith(b"0\r\n\r\n")


async def closes(peer: Peer) -> None:
    await peer.readable()
    peer.close()


async def resets(peer: Peer) -> None:
    await peer.request()
    peer.reset()


@pytest.mark.parametrize("end", [closes, resets])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
async def test_a_stale_read_is_sent_once_more(
    client: UpstreamClient, line: Line, method: str, end: Callable[[Peer], Awaitable[None]]
) -> None:
    stale = await line.accept_first(client)
    opening = asyncio.create_task(client.open(a_request(line.origin, method, b"")))
    await end(stale)
    peer = await line.accept()
    await peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    assert (await opening).status == 200


async def test_it_is_sent_once_more_only(client: UpstreamClient, line: Line) -> None:
    stale = await line.accept_first(client)
    opening = asyncio.create_task(client.open(a_request(line.origin, "GET", b"")))
    await closes(stale)
    await closes(await line.accept())

    with pytest.raises(SendFailed):
        await opening

    assert not line.somebody_calls


async def answers_half(peer: Peer) -> None:
    await peer.request()
    peer.send(b"HTTP/1.1 2")
    peer.close()


@pytest.mark.parametrize(
    ("method", "reused", "streams", "end"),
    [
        ("POST", True, False, closes),
        ("PUT", True, False, closes),
        ("DELETE", True, False, resets),
        ("PATCH", True, False, resets),
        ("PURGE", True, False, resets),
        ("GET", False, False, closes),
        ("GET", True, True, closes),
        ("GET", True, False, answers_half),
    ],
)
async def test_nothing_else_is_sent_again(
    client: UpstreamClient,
    line: Line,
    method: str,
    reused: bool,
    streams: bool,
    end: Callable[[Peer], Awaitable[None]],
) -> None:
    peer = await line.accept_first(client) if reused else None
    body = pieces(b"once") if streams else None
    opening = asyncio.create_task(client.open(a_request(line.origin, method, b""), body=body))
    await end(peer or await line.accept())

    with pytest.raises(SendFailed) as failed:
        await opening

    assert failed.value.failure is Failure.CONNECTION_LOST
    assert not line.somebody_calls


async def test_a_read_that_took_too_long_is_not_sent_again(make_client: MakeClient, line: Line) -> None:
    client = make_client(response_timeout=SHORT)
    await line.accept_first(client)

    with pytest.raises(SendFailed) as failed:
        await client.open(a_request(line.origin, "GET", b""))

    assert (failed.value.failure, failed.value.phase) == (Failure.TIMEOUT, WirePhase.SENT)
    assert not line.somebody_calls


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_body_that_is_cut_says_so(client: UpstreamClient, line: Line, end: str) -> None:
    opening = asyncio.create_task(client.open(a_request(line.origin, "GET", b"")))
    peer = await line.accept()
    await peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf")
    response = await opening
    getattr(peer, end)()

    with pytest.raises(SendFailed) as failed:
        await all_of(response)

    assert failed.value.phase is WirePhase.HEAD_RECEIVED


async def test_a_piece_that_takes_too_long_ends_the_body(make_client: MakeClient, line: Line) -> None:
    opening = asyncio.create_task(
        make_client(response_timeout=SHORT).open(a_request(line.origin, "GET", b""))
    )
    peer = await line.accept()
    await peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf")
    response = await opening

    with pytest.raises(SendFailed) as failed:
        await all_of(response)

    assert failed.value.failure is Failure.TIMEOUT


async def test_a_response_that_is_not_read_to_its_end_takes_its_connection_along(
    client: UpstreamClient, line: Line
) -> None:
    opening = asyncio.create_task(client.open(a_request(line.origin, "GET", b"")))
    peer = await line.accept()
    await peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf")
    await (await opening).aclose()

    assert await peer.ended() == b""


async def test_a_connection_is_used_again_after_its_body_was_read(
    client: UpstreamClient, upstream: Upstream
) -> None:
    upstream.always = answer(200, b"x" * (1 << 20))
    for _ in range(3):
        response = await client.open(a_request(origin_of(upstream), "GET", b""))
        assert len(await all_of(response)) == 1 << 20

    assert upstream.connections == 1


async def test_an_upgrade_hands_the_connection_over(client: UpstreamClient, line: Line) -> None:
    opening = asyncio.create_task(client.open(a_request(line.origin, "GET", b""), upgrade=b"websocket"))
    peer = await line.accept()
    head = await peer.request()
    assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket" in head
    peer.send(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    response = await opening
    peer.send(b"early ")
    peer.send(b"frames")
    await asyncio.sleep(0.02)  # whether it is there by now or not, nothing of it may be lost

    transport, early = response.hijack()
    received: asyncio.Queue[bytes] = asyncio.Queue()

    class Far(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            received.put_nowait(data)

    transport.set_protocol(Far())
    transport.resume_reading()
    peer.send(b"late")
    while not early.endswith(b"late"):
        early += await received.get()
    transport.write(b"back")

    assert early == b"early frameslate"
    assert await peer.read() == b"back"
    transport.abort()


async def test_an_upgrade_that_nobody_takes_over_is_no_idle_connection(
    client: UpstreamClient, line: Line
) -> None:
    opening = asyncio.create_task(client.open(a_request(line.origin, "GET", b""), upgrade=b"websocket"))
    peer = await line.accept()
    await peer.request()
    peer.send(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    await (await opening).aclose()

    assert await peer.ended() == b""
