"""The response parser: what is a response, where it ends, and that the way it was cut up does not matter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.messages import Interim
from onceproxy.upstream.parser import Malformed, ResponseParser

MAX_HEAD = 1000
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Read:
    """What came of feeding bytes. ``whole`` without and then with the end of the connection behind them."""

    status: int | None = None
    reason: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    length: int | None = None
    body: bytes = b""
    whole: bool = False
    whole_at_end: bool = False
    reusable: bool = False
    rest: bytes = b""
    malformed: bool = False


# What a parser read before: of each kind one that leaves the connection open.
BEFORE = (
    (b"HTTP/1.1 100 Continue\r\n\r\n", OK + b"X-Old: 1\r\nContent-Length: 3\r\n\r\nold"),
    (CHUNKED + b"3\r\nold\r\n0\r\nX-Old: 1\r\n\r\n\r\n",),
    (b"HTTP/1.1 304 Old\r\nContent-Length: 5\r\n\r\n",),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",),
)


def read(pieces: Iterable[bytes], *, method: str = "POST", upgrade: bool = False) -> Read:
    """Read with a new parser, and see that one which has read before does the same."""
    pieces = list(pieces)
    seen = _read(ResponseParser(method, MAX_HEAD, upgrade=upgrade), pieces)
    used = ResponseParser("GET", MAX_HEAD)
    for before in BEFORE:
        for piece in before:
            used.feed(piece)
        used.pieces.clear()
        used.interim.clear()
        assert used.ended
        used.begin("GET", MAX_HEAD)
    used.begin(method, MAX_HEAD, upgrade=upgrade)
    assert _read(used, pieces) == seen
    return seen


def _read(parser: ResponseParser, pieces: list[bytes]) -> Read:
    try:
        for piece in pieces:
            parser.feed(piece)
    except Malformed:
        return Read(malformed=True)
    body, whole, reusable = b"".join(parser.pieces), parser.complete, parser.reusable
    at_end = parser.end()
    head = parser.head
    if head is None:
        return Read()
    return Read(
        head.status,
        head.reason,
        head.headers,
        head.content_length,
        body,
        whole,
        at_end,
        reusable,
        parser.rest,
    )


def one(data: bytes, *, method: str = "POST", upgrade: bool = False) -> Read:
    return read([data], method=method, upgrade=upgrade)


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


# Good ones.


def test_a_response_with_a_length() -> None:
    seen = one(b"HTTP/1.1 201 Made it\r\nX-A: 1\r\nx-a:  2 \r\nContent-Length: 3\r\n\r\nabc")

    assert (seen.status, seen.reason) == (201, b"Made it")
    assert seen.headers == ((b"X-A", b"1"), (b"x-a", b"2"), (b"Content-Length", b"3"))
    assert (seen.length, seen.body, seen.whole, seen.reusable) == (3, b"abc", True, True)


def test_a_chunked_response_whose_trailers_are_dropped() -> None:
    seen = one(CHUNKED + b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nSet-Cookie: a=b\r\nX-T: 1\r\n\r\n")

    assert seen.headers == ()
    assert (seen.length, seen.body, seen.whole, seen.reusable) == (None, b"abc0123456789", True, True)


def test_a_body_that_only_the_end_of_the_connection_ends() -> None:
    seen = one(OK + b"\r\nabc")

    assert (seen.length, seen.body) == (None, b"abc")
    assert (seen.whole, seen.whole_at_end, seen.reusable) == (False, True, False)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",  # allowed: RFC 9112 §6.1
    ],
)
def test_statuses_without_content(head: bytes) -> None:
    seen = one(head)

    assert (seen.length, seen.body, seen.whole, seen.reusable) == (None, b"", True, True)


@pytest.mark.parametrize("framing", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_the_answer_to_head_has_no_content(framing: bytes) -> None:
    seen = one(OK + framing + b"\r\n", method="HEAD")

    assert (seen.body, seen.whole, seen.reusable) == (b"", True, True)


def test_the_answer_to_head_without_a_length_ends_too() -> None:
    assert one(OK + b"\r\n", method="HEAD").whole


def test_interim_responses_are_kept_apart_without_what_is_for_this_hop() -> None:
    parser = ResponseParser("POST", MAX_HEAD)
    parser.feed(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Hop\r\n"
    )
    assert list(parser.interim) == [Interim(100, b"Continue", ())]
    parser.feed(b"X-Hop: 1\r\nContent-Length: 0\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n")

    assert list(parser.interim)[1:] == [Interim(103, b"Early Hints", ((b"Link", b"</a>"),))]
    assert parser.complete


def test_interim_responses_are_passed_over() -> None:
    interim = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 0\r\n\r\n"
    )
    seen = one(interim * 3 + OK + b"Content-Length: 1\r\n\r\nx")

    assert (seen.status, seen.reason, seen.body) == (200, b"OK", b"x")
    assert seen.headers == ((b"Content-Length", b"1"),)


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\r\n", True),  # as if it were not there
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\ngarbage", False),
        (b"HTTP/1.1 204 No Content\r\n\r\ncontent", False),
        (CHUNKED + b"0\r\n\r\nx", False),
    ],
)
def test_what_comes_behind_an_answer_only_ends_the_connection(head: bytes, reusable: bool) -> None:
    seen = one(head)

    assert (seen.whole, seen.body, seen.reusable) == (True, b"", reusable)


def test_hop_by_hop_headers_stay_here() -> None:
    seen = one(
        OK + b"Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-End: 2\r\n"
        b"Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    )

    assert seen.headers == ((b"X-End", b"2"), (b"Content-Length", b"0"))


def test_empty_reasons_and_values_are_kept() -> None:
    seen = one(b"HTTP/1.1 200 \r\nX-Empty:\r\nX-Bytes: caf\xc3\xa9\r\nContent-Length: 0\r\n\r\n")

    assert seen.reason == b""
    assert seen.headers[:2] == ((b"X-Empty", b""), (b"X-Bytes", b"caf\xc3\xa9"))


def test_a_switch_that_was_asked_for() -> None:
    head = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n"
    seen = one(head + b"\x81\x05hello", upgrade=True)

    assert (seen.status, seen.headers, seen.whole) == (101, ((b"X-A", b"1"),), True)
    assert (seen.rest, seen.reusable) == (b"\x81\x05hello", False)


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("HEAD", OK + b"Content-Length: 5\r\n\r\n"),  # llhttp waits for a body
        ("GET", OK + b"Content-Length: 3\r\n\r\nabcHTTP"),
        ("GET", OK + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc"),
        ("GET", OK + b"Content-Length: 3\r\n\r\nab"),
        ("GET", OK + b"Content-Length: 3\r\n\r\nabc"),  # and nobody has taken it
    ],
)
def test_what_has_not_ended_is_followed_by_nothing(method: str, data: bytes) -> None:
    parser = ResponseParser(method, MAX_HEAD)
    parser.feed(data)

    assert not parser.ended


# What is no response, or is cut.


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"ICY 200 OK\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        OK + b"X-A: 1\r\n folded\r\nContent-Length: 0\r\n\r\n",
        OK + b"X-A : 1\r\nContent-Length: 0\r\n\r\n",
        OK + b"X-A: 1\nContent-Length: 0\r\n\r\n",
        OK + b"X-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
        OK + b"X-A: a\rb\r\nContent-Length: 0\r\n\r\n",
        OK + b"X\x01A: 1\r\nContent-Length: 0\r\n\r\n",
        OK + b": 1\r\nContent-Length: 0\r\n\r\n",
        OK + b"no colon\r\nContent-Length: 0\r\n\r\n",
        OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        OK + b"Content-Length: 3, 3\r\n\r\nabc",
        OK + b"Content-Length: +3\r\n\r\nabc",
        OK + b"Content-Length: 0x3\r\n\r\nabc",
        OK + b"Content-Length: 3x\r\n\r\nabc",
        OK + b"Content-Length:\r\n\r\nabc",
        OK + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"g\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"3\nabc\r\n0\r\n\r\n",
        CHUNKED + b"3\r\nabcX\r\n0\r\n\r\n",
        CHUNKED + b"3\r\nabc\n0\r\n\r\n",
        CHUNKED + b"11111111111111111\r\nabc",
        CHUNKED + b"0\r\nX-T: 1\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nabcde" + OK + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        + OK
        + b"Content-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_response(data: bytes) -> None:
    assert one(data).malformed
    assert read(bytes([byte]) for byte in data).malformed


def test_what_follows_a_switch_is_kept_however_it_is_cut() -> None:
    head = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    frames = [b"\x81\x05", b"hello", b"\r\n"]

    assert read([head, *frames], upgrade=True) == one(head + b"".join(frames), upgrade=True)
    assert read([head, *frames], upgrade=True).rest == b"\x81\x05hello\r\n"


def test_a_switch_that_names_no_protocol() -> None:
    assert one(b"HTTP/1.1 101 Switching\r\n\r\nabc", upgrade=True).malformed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTT",
        OK,
        OK + b"X-A: 1\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        OK + b"Content-Length: 3\r\n\r\nab",
        CHUNKED,
        CHUNKED + b"3\r\nab",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\nX-T: 1\r\n",
    ],
)
def test_what_is_cut_is_not_whole(data: bytes) -> None:
    seen = one(data)

    assert (seen.whole, seen.whole_at_end, seen.malformed) == (False, False, False)


@pytest.mark.parametrize("size", [1, 64, 10 * MAX_HEAD])
def test_a_head_that_is_too_large(size: int) -> None:
    line = b"X-A: " + b"a" * (MAX_HEAD - len(OK) - len(b"X-A: \r\nContent-Length: 0\r\n\r\n")) + b"\r\n"
    fits = OK + line + b"Content-Length: 0\r\n\r\n"
    larger = OK + b"a" + line + b"Content-Length: 0\r\n\r\n"

    assert len(fits) == MAX_HEAD
    assert read(fits[at : at + size] for at in range(0, len(fits), size)).whole
    assert read(larger[at : at + size] for at in range(0, len(larger), size)).malformed


def test_interim_responses_without_end() -> None:
    assert one(b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_HEAD).malformed


def test_a_large_body_is_no_large_head() -> None:
    body = b"x" * 10 * MAX_HEAD

    assert one(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body).body == body


# However it is cut.


@dataclass(frozen=True)
class Wire:
    """A response as it was meant, and its bytes."""

    status: int
    body: bytes
    data: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


TOKENS = st.text("abcXYZ-", min_size=1, max_size=8).map(lambda name: b"X-" + name.encode())
VALUES = st.text("abc, ;=\t\xe9", max_size=12).map(lambda value: value.strip().encode("latin-1"))


@st.composite
def wires(draw: st.DrawFn) -> Wire:
    status = draw(st.sampled_from([200, 201, 204, 302, 304, 404, 500]))
    headers = tuple(draw(st.lists(st.tuples(TOKENS, VALUES), max_size=4)))
    interim = draw(
        st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 A\r\nB: c\r\n\r\n"])
    )
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=4))
    body = b"".join(pieces) if status not in (204, 304) else b""
    framing, framed = b"", b""
    if status not in (204, 304):
        how = draw(st.sampled_from(["length", "chunked", "close"]))
        if how == "length":
            framing, framed = b"Content-Length: %d\r\n" % len(body), body
        elif how == "chunked":
            framing = b"Transfer-Encoding: chunked\r\n"
            framed = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        else:
            framed = body
    lines = b"".join(b"%s: %s\r\n" % line for line in headers)
    head = b"HTTP/1.1 %d Fine\r\n%s%s\r\n" % (status, lines, framing)
    return Wire(status, body, interim + head + framed, headers)


CUTS = st.lists(st.integers(0, 1000), max_size=8)


@given(wires(), CUTS)
def test_a_response_is_read_as_it_was_meant(wire: Wire, cuts: list[int]) -> None:
    seen = read(cut(wire.data, cuts))

    assert (seen.status, seen.body, seen.whole_at_end) == (wire.status, wire.body, True)
    assert seen.headers[: len(wire.headers)] == wire.headers


@given(wires(), CUTS, st.sampled_from(["POST", "HEAD"]), st.binary(max_size=20), st.data())
def test_any_bytes_are_read_the_same_however_they_are_cut(
    wire: Wire, cuts: list[int], method: str, more: bytes, data: st.DataObject
) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(wire.data))] * 2)))
    patch = data.draw(st.one_of(st.none(), st.binary(max_size=5), st.sampled_from([b"\r\n", b" ", b"\n"])))
    spoilt = wire.data if patch is None else wire.data[:start] + patch + wire.data[end:]

    assert read(cut(spoilt + more, cuts), method=method) == one(spoilt + more, method=method)


@given(wires(), st.data())
def test_no_response_that_is_cut_short_is_whole(wire: Wire, data: st.DataObject) -> None:
    seen = one(wire.data)
    until_close = not seen.whole
    short = one(wire.data[: data.draw(st.integers(0, len(wire.data) - 1))])

    assert not short.whole
    assert until_close or not short.whole_at_end or short.body == seen.body
