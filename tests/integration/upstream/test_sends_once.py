"""A guarded request is on the wire once, whatever its method is and whenever the upstream hangs up."""

from __future__ import annotations

import asyncio

import pytest

from integration.upstream.conftest import a_request, origin_of, yes
from integration.upstream.line import Line
from onceproxy.core.attempts import NOTHING_SENT, Failure, WirePhase
from onceproxy.upstream.client import UpstreamClient
from upstreams import Upstream, answer, closing, raw, reset
from upstreams import close as close_after

BIG = b"x" * (12 << 20)  # more than all the buffers between the two sides hold
MUTATIONS = ("POST", "PUT", "PATCH", "DELETE")
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("when", ["before", "amid", "after"])
@pytest.mark.parametrize("method", MUTATIONS)
async def test_an_upstream_that_hangs_up(
    client: UpstreamClient, line: Line, method: str, when: str, end: str, reused: bool
) -> None:
    peer = await line.accept_first(client) if reused else None
    sending = asyncio.create_task(client.send(a_request(line.origin, method, BIG), yes))
    peer = peer or await line.accept()
    await peer.readable()
    if when == "amid":
        await peer.read(1000)
    elif when == "after":
        await peer.request(len(BIG))
    getattr(peer, end)()

    attempt = await sending

    assert (attempt.response, attempt.failure) == (None, Failure.CONNECTION_LOST)
    assert attempt.phase is (WirePhase.SENT if when == "after" else WirePhase.SENDING)
    assert not line.somebody_calls


@pytest.mark.parametrize("behaviour", [close_after, reset, raw(b"HTTP/1.1 200 O"), raw(b"junk\r\n\r\n")])
@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("method", MUTATIONS)
async def test_a_whole_request_is_counted_once(
    client: UpstreamClient, upstream: Upstream, method: str, reused: bool, behaviour: object
) -> None:
    origin = origin_of(upstream)
    if reused:
        upstream.will(answer())
        await client.send(a_request(origin, method), yes)
    upstream.will(behaviour)  # type: ignore[arg-type]  # parametrize knows no types

    attempt = await client.send(a_request(origin, method), yes)

    assert attempt.response is None
    assert attempt.phase is WirePhase.SENT
    assert upstream.executions == 1 + reused
    assert upstream.connections == 1


async def test_a_connection_that_is_reset_right_before_the_first_byte(
    client: UpstreamClient, line: Line
) -> None:
    peer = await line.accept_first(client)

    def reset_meanwhile() -> bool:
        peer.reset()
        return True

    attempt = await client.send(a_request(line.origin, "PUT"), reset_meanwhile)

    assert attempt.failure is Failure.CONNECTION_LOST
    assert not line.somebody_calls


async def test_without_the_right_to_send_nothing_is_on_the_wire(client: UpstreamClient, line: Line) -> None:
    attempt = await client.send(a_request(line.origin), lambda: False)

    assert (attempt.phase, attempt.failure) == (WirePhase.SENT_NOTHING, Failure.LEASE_LOST)
    assert attempt.phase in NOTHING_SENT
    assert await (await line.accept()).ended() == b""


async def test_without_the_right_to_send_a_reused_connection_stays_silent_too(
    client: UpstreamClient, line: Line
) -> None:
    peer = await line.accept_first(client)

    attempt = await client.send(a_request(line.origin), lambda: False)

    assert attempt.phase is WirePhase.SENT_NOTHING
    assert await peer.ended() == b""


async def test_the_right_to_send_is_asked_for_when_the_connection_is_there(
    client: UpstreamClient, line: Line
) -> None:
    asked: list[bool] = []

    def may_send() -> bool:
        asked.append(line.somebody_calls)
        return False

    await client.send(a_request(line.origin), may_send, reuse_idle=0)

    assert asked == [True]


@pytest.mark.parametrize("read", [False, True], ids=["amid sending", "waiting for the answer"])
async def test_cancelling_closes_the_connection(client: UpstreamClient, line: Line, read: bool) -> None:
    sending = asyncio.create_task(client.send(a_request(line.origin, body=BIG), yes))
    peer = await line.accept()
    await peer.readable()
    if read:
        await peer.request(len(BIG))
    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending

    await peer.ended()
    assert not line.somebody_calls


async def test_an_upstream_that_closes_without_saying_so_is_asked_anew_next_time(
    client: UpstreamClient, upstream: Upstream
) -> None:
    upstream.always = closing(answer())

    for _ in range(3):
        attempt = await client.send(a_request(origin_of(upstream), "PUT"), yes)
        assert attempt.status == 201

    assert upstream.executions == 3
