"""Inputs of the corpus, changed at random; and what an independent parser reads in the result."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

import h11

TOKENS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"0",
    b"1",
    b"5",
    b"a",
    b"-",
    b"+",
    b"0x",
    b"\xff",
    b"\x85",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Host: @host@\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"GET @base@/@2@ HTTP/1.1\r\nHost: @host@\r\n\r\n",
    b"5\r\nhello\r\n",
    b"X: 1\r\n",
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"chunked",
    b"\r\n ",
    b'"',
    b"Upgrade: h2c\r\n",
    b"Idempotency-Key: @1@\r\n",
)


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    """Return one of ``seeds``, or some of them behind one another, with a few changes."""
    data = b"".join(chance.choice(seeds) for _ in range(chance.choice((1, 1, 2, 3))))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data) + 1)
        upto = min(len(data), at + chance.choice((1, 1, 2, 8, 40)))
        change = chance.randrange(6)
        if change == 0:
            data = data[:at] + data[upto:]
        elif change == 1:
            data = data[:upto] + data[at:]
        elif change == 2:
            other = chance.choice(seeds)
            data = data[:at] + other[chance.randrange(len(other) + 1) :]
        elif change == 3:
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        else:
            data = data[:at] + chance.choice(TOKENS) + data[at if change == 4 else upto :]
    return data


@dataclass(frozen=True, slots=True)
class Read:
    """A whole request as the independent parser reads it."""

    method: bytes
    body: bytes


def as_another_reads(data: bytes) -> list[Read]:
    """Return the whole requests at the beginning of ``data``, up to what is none.

    Our parser is more lenient in three things, which hide nothing, and are mended here first.
    """
    found: list[Read] = []
    while True:
        data = _mended(data)
        one, data = _first(data)
        if one is None:
            return found
        found.append(one)


def _mended(data: bytes) -> bytes:
    """Take off line ends before a request, and write spaces and the version in its first line as usual."""
    first, end, rest = data.lstrip(b"\r\n").partition(b"\r\n")
    words = re.sub(rb"RTSP/1\.([01])\Z", rb"HTTP/1.0", re.sub(rb" +", b" ", first))
    return words + end + rest


def _first(data: bytes) -> tuple[Read | None, bytes]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    method, body = b"", b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                method = event.method
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                # The recorder declines each upgrade, so what stands behind one is HTTP again.
                goes_on = connection.their_state is not h11.MUST_CLOSE
                return Read(method, body), bytes(connection.trailing_data[0]) if goes_on else b""
            else:
                return None, b""
    except h11.ProtocolError:
        return None, b""
