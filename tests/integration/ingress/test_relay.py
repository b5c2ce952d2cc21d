"""The relay of opaque bytes, between real sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest

from onceproxy.ingress.relay import RelayEnd, relay
from raw_client import PATIENCE, RawClient


async def a_pair() -> tuple[RawClient, RelayEnd]:
    """A peer, and the end of the relay that it is connected to."""
    ours, theirs = socket.socketpair()
    _, end = await asyncio.get_running_loop().create_connection(RelayEnd, sock=ours)
    return RawClient(*await asyncio.open_connection(sock=theirs)), end


async def test_bytes_and_ends_go_both_ways() -> None:
    (left, one), (right, other) = await a_pair(), await a_pair()
    relaying = asyncio.ensure_future(relay(one, other, PATIENCE))

    await left.send(b"question")
    left.writer.write_eof()
    assert await right.reader.read() == b"question"
    await right.send(b"answer")  # half open: one side has ended, the other still speaks
    right.writer.write_eof()
    assert await left.reader.read() == b"answer"

    async with asyncio.timeout(PATIENCE):
        await relaying  # both have ended, so nothing stays open
    await left.close()
    await right.close()


@pytest.mark.parametrize("early", [b"", b"said before the ends were joined"])
async def test_an_end_that_is_gone_before_they_are_joined_ends_the_other(early: bytes) -> None:
    (left, one), (right, other) = await a_pair(), await a_pair()
    await left.send(early)
    await left.close()
    async with asyncio.timeout(PATIENCE):
        await one.closed
        await relay(one, other, PATIENCE)

    assert await right.reader.read() == early
    await right.close()


async def test_a_slow_reader_slows_the_writer_down() -> None:
    (left, one), (right, other) = await a_pair(), await a_pair()
    relaying = asyncio.ensure_future(relay(one, other, PATIENCE))
    sent = 0

    async def write_without_end() -> None:
        nonlocal sent
        while True:
            await left.send(bytes(65536))
            sent += 65536

    writing = asyncio.ensure_future(write_without_end())
    transport = one._transport
    assert transport is not None
    async with asyncio.timeout(PATIENCE):
        while transport.is_reading():  # nobody reads at the other end
            await asyncio.sleep(0)
    taken, received = sent, 0
    while received <= taken + 65536:  # and it goes on when somebody does
        received += len(await right.reader.read(1 << 20))

    writing.cancel()
    relaying.cancel()
    await asyncio.wait({writing, relaying})
    await left.close()
    await right.close()
