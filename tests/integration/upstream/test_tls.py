"""The same over TLS, where an end of the TCP connection is not yet an end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from integration.upstream.conftest import SHORT, MakeClient, a_request, origin_of, yes
from onceproxy.core.attempts import Failure, WirePhase
from onceproxy.core.messages import Request
from onceproxy.upstream.client import UpstreamClient
from upstreams import Conversation, Upstream, answer, close, raw, reset

LARGE = b"x" * (3 << 20)


class Pieces:
    """A body that comes in many pieces."""

    size = len(LARGE)

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, len(LARGE), 65536):
            yield LARGE[at : at + 65536]

    def read(self) -> bytes:
        return LARGE


async def test_large_bodies_both_ways(client: UpstreamClient, tls_upstream: Upstream) -> None:
    tls_upstream.will(answer(body=LARGE))
    request = Request("POST", origin_of(tls_upstream), b"/charges", body=Pieces())

    attempt = await client.send(request, yes)

    assert attempt.response is not None
    assert attempt.response.body.read() == LARGE
    assert tls_upstream.requests[0].body == LARGE


async def test_connections_are_reused(client: UpstreamClient, tls_upstream: Upstream) -> None:
    for _ in range(3):
        assert (await client.send(a_request(origin_of(tls_upstream)), yes)).status == 201

    assert tls_upstream.connections == 1


@pytest.mark.parametrize("behaviour", [close, reset])
@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_mutation_is_sent_once(
    client: UpstreamClient, tls_upstream: Upstream, method: str, behaviour: object
) -> None:
    tls_upstream.will(behaviour)  # type: ignore[arg-type]  # parametrize knows no types

    attempt = await client.send(a_request(origin_of(tls_upstream), method), yes)

    assert (attempt.phase, attempt.failure) == (WirePhase.SENT, Failure.CONNECTION_LOST)
    assert (tls_upstream.executions, tls_upstream.connections) == (1, 1)


async def test_a_body_that_ends_with_the_connection(client: UpstreamClient, tls_upstream: Upstream) -> None:
    tls_upstream.will(raw(b"HTTP/1.1 200 OK\r\n\r\nall of it"))

    attempt = await client.send(a_request(origin_of(tls_upstream)), yes)

    assert attempt.response is not None
    assert attempt.response.body.read() == b"all of it"


async def test_an_end_that_anyone_on_the_way_could_have_made_is_a_cut(
    client: UpstreamClient, tls_upstream: Upstream
) -> None:
    # RFC 9112 §9.8: complete only if a valid closure alert has been received.
    async def cut(talk: Conversation) -> None:
        await talk.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of")
        talk.writer.transport.abort()
        talk.keep = False

    tls_upstream.will(cut)

    attempt = await client.send(a_request(origin_of(tls_upstream)), yes)

    assert (attempt.phase, attempt.failure) == (WirePhase.HEAD_RECEIVED, Failure.CONNECTION_LOST)


async def test_a_whole_answer_needs_no_farewell(client: UpstreamClient, tls_upstream: Upstream) -> None:
    async def leave(talk: Conversation) -> None:
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nall")
        talk.writer.transport.abort()
        talk.keep = False

    tls_upstream.will(leave)

    assert (await client.send(a_request(origin_of(tls_upstream)), yes)).status == 200


async def test_an_upstream_that_hangs_amid_a_large_body(
    make_client: MakeClient, tls_upstream: Upstream
) -> None:
    gate = asyncio.Event()

    async def half(talk: Conversation) -> None:
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await gate.wait()

    tls_upstream.will(half)
    attempt = await make_client(response_timeout=SHORT).send(a_request(origin_of(tls_upstream)), yes)
    gate.set()

    assert (attempt.phase, attempt.failure) == (WirePhase.HEAD_RECEIVED, Failure.TIMEOUT)
