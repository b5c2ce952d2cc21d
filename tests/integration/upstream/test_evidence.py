"""How far an attempt came: the evidence from which it is told whether anything can have happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from integration.upstream.conftest import SHORT, MakeClient, a_request, yes
from integration.upstream.line import Line, Peer
from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.upstream.client import UpstreamClient

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BIG = b"x" * (12 << 20)  # more than all the buffers between the two sides hold

Converse = Callable[..., Awaitable[Attempt]]


@pytest.fixture
async def converse(client: UpstreamClient, line: Line) -> AsyncIterator[Converse]:
    """Sends a request to an upstream that reads it, writes ``answer`` and ends the connection."""

    async def exchange(answer: bytes, end: str | None = "close", method: str = "POST") -> Attempt:
        sending = asyncio.create_task(client.send(a_request(line.origin, method), yes))
        peer = await line.accept()
        await peer.request(len(b"amount=1"))
        peer.send(answer)
        if end is not None:
            getattr(peer, end)()
        return await sending

    yield exchange
    assert not line.somebody_calls


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize(
    ("answer", "phase"),
    [
        (b"", WirePhase.SENT),
        (b"HTTP/1.1 200 OK\r\nX-A", WirePhase.SENT),
        (b"HTTP/1.1 100 Continue\r\n\r\n", WirePhase.SENT),
        (OK + b"Content-Length: 5\r\n\r\n", WirePhase.HEAD_RECEIVED),
        (OK + b"Content-Length: 5\r\n\r\nhalf", WirePhase.HEAD_RECEIVED),
        (CHUNKED + b"5\r\nha", WirePhase.HEAD_RECEIVED),
        (CHUNKED + b"5\r\nwhole\r\n", WirePhase.HEAD_RECEIVED),
        (CHUNKED + b"5\r\nwhole\r\n0\r\n", WirePhase.HEAD_RECEIVED),
    ],
)
async def test_an_answer_that_is_cut(converse: Converse, answer: bytes, phase: WirePhase, end: str) -> None:
    attempt = await converse(answer, end)

    assert (attempt.phase, attempt.failure, attempt.response) == (phase, Failure.CONNECTION_LOST, None)
    assert attempt.status == (200 if phase is WirePhase.HEAD_RECEIVED else None)


@pytest.mark.parametrize(
    ("answer", "phase"),
    [
        (b"\x00\x01garbage", WirePhase.SENT),
        (b"HTTP/2.0 200 OK\r\n\r\n", WirePhase.SENT),
        (OK + b"X-A: " + b"a" * (64 << 10), WirePhase.SENT),
        (b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", WirePhase.SENT),
        (OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", WirePhase.SENT),
        (CHUNKED + b"5\r\nwhole\r\nX\r\n", WirePhase.HEAD_RECEIVED),
        (CHUNKED + b"5\r\nwhole\r\n0\r\nbad trailer\r\n\r\n", WirePhase.HEAD_RECEIVED),
    ],
)
async def test_an_answer_that_is_none(converse: Converse, answer: bytes, phase: WirePhase) -> None:
    attempt = await converse(answer, None)

    assert (attempt.phase, attempt.failure, attempt.response) == (phase, Failure.MALFORMED_RESPONSE, None)


async def test_a_body_that_ends_with_the_connection_is_whole_at_an_orderly_end(converse: Converse) -> None:
    attempt = await converse(OK + b"\r\nall of it", "close")

    assert attempt.phase is WirePhase.BODY_RECEIVED
    assert attempt.response is not None
    assert attempt.response.body.read() == b"all of it"


async def test_a_body_that_ends_with_the_connection_is_cut_by_a_reset(
    client: UpstreamClient, line: Line
) -> None:
    sending = asyncio.create_task(client.send(a_request(line.origin), yes))
    peer = await line.accept()
    await peer.request(len(b"amount=1"))
    peer.send(OK + b"\r\nhalf of")
    peer.reset()

    attempt = await sending

    assert (attempt.failure, attempt.response) == (Failure.CONNECTION_LOST, None)


@pytest.mark.parametrize("extra", [b"garbage", b"HTTP/1.1 500 Oh\r\n\r\n"])
async def test_bytes_behind_an_answer_end_the_connection_and_nothing_else(
    client: UpstreamClient, line: Line, extra: bytes
) -> None:
    sending = asyncio.create_task(client.send(a_request(line.origin), yes))
    peer = await line.accept()
    await peer.request(len(b"amount=1"))
    peer.send(OK + b"Content-Length: 2\r\n\r\nok" + extra)

    attempt = await sending

    assert (attempt.phase, attempt.status) == (WirePhase.BODY_RECEIVED, 200)
    assert attempt.response is not None
    assert attempt.response.body.read() == b"ok"
    assert await peer.ended() == b""


async def test_interim_answers_are_passed_over(converse: Converse) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
    attempt = await converse(interim + b"HTTP/1.1 201 Made\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n", None)

    assert attempt.response is not None
    assert (attempt.response.status, attempt.response.reason) == (201, b"Made")
    assert attempt.response.headers == ((b"X-A", b"1"), (b"Content-Length", b"0"))


async def test_an_answer_that_comes_before_the_body_was_read_is_the_answer(
    client: UpstreamClient, line: Line
) -> None:
    sending = asyncio.create_task(client.send(a_request(line.origin, body=BIG), yes))
    peer = await line.accept()
    await peer.request()
    peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")

    attempt = await sending

    assert (attempt.phase, attempt.status) == (WirePhase.BODY_RECEIVED, 413)
    assert attempt.response is not None
    assert attempt.response.body.read() == b"big"
    # The rest of the request is not sent into a connection that might take it for another one.
    assert len(await peer.ended()) < len(BIG)


async def reads_nothing(peer: Peer) -> None:
    await peer.readable()


async def reads_all(peer: Peer) -> None:
    await peer.request(len(b"amount=1"))


async def answers_half(peer: Peer) -> None:
    await peer.request(len(b"amount=1"))
    peer.send(OK + b"Content-Length: 5\r\n\r\nhalf")


@pytest.mark.parametrize(
    ("body", "behave", "phase"),
    [
        (BIG, reads_nothing, WirePhase.SENDING),
        (b"amount=1", reads_all, WirePhase.SENT),
        (b"amount=1", answers_half, WirePhase.HEAD_RECEIVED),
    ],
)
async def test_an_upstream_that_hangs(
    make_client: MakeClient,
    line: Line,
    body: bytes,
    behave: Callable[[Peer], Awaitable[None]],
    phase: WirePhase,
) -> None:
    sending = asyncio.create_task(
        make_client(response_timeout=SHORT).send(a_request(line.origin, body=body), yes)
    )
    peer = await line.accept()
    await behave(peer)

    attempt = await sending

    assert (attempt.phase, attempt.failure, attempt.response) == (phase, Failure.TIMEOUT, None)
    await peer.ended()
    assert not line.somebody_calls
