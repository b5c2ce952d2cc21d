"""The ids in a stored answer: changed for each copy, and nothing else with them."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.event_streams import event_data, renumbered
from onceproxy.core.jsonrpc_ids import Renumbering
from onceproxy.core.messages import BytesBody, Origin, RawHeaders, Request, Response, header_values
from onceproxy.core.renumbering import ids_of

API = Origin("https", "mcp.example.com", 443)
JSON: RawHeaders = ((b"Content-Type", b"application/json"),)
EVENTS: RawHeaders = ((b"Content-Type", b"text/event-stream; charset=utf-8"),)


def asking(*ids: Any, batch: bool = False) -> Request:
    calls = [{"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": {"name": "pay"}} for id_ in ids]
    document = calls if batch or len(ids) != 1 else calls[0]
    return Request("POST", API, b"/mcp", JSON, BytesBody(json.dumps(document).encode()))


def replayed(first: Request, copy: Request, body: bytes, headers: RawHeaders = JSON) -> Response:
    """What a copy gets of an answer that was stored for the first."""
    return ids_of(copy).answer(Response(200, b"OK", headers + ids_of(first).kept, BytesBody(body)))


SPACED = b'\xef\xbb\xbf\r\n{ "result" : {"id": 1, "x": [1.50, "\\u00e9"]},\t"id" :  1 , "jsonrpc":"2.0"}\n'


@pytest.mark.parametrize(
    ("new", "written"), [(7, b"7"), ("a-b", b'"a-b"'), ("é\n", b'"\\u00e9\\n"'), (10**20, b"1" + b"0" * 20)]
)
def test_only_the_id_changes(new: Any, written: bytes) -> None:
    answer = replayed(asking(1), asking(new), SPACED)
    assert answer.body.read() == SPACED.replace(b'"id" :  1', b'"id" :  ' + written)


def test_an_id_is_taken_over_as_it_is_written() -> None:
    body = b'{"jsonrpc": "2.0", "method": "tools/call", "id": "\\u0061\\/b"}'
    copy = Request("POST", API, b"/mcp", JSON, BytesBody(body))
    answer = replayed(asking(1), copy, b'{"id": 1, "error": {}}')
    assert answer.body.read() == b'{"id": "\\u0061\\/b", "error": {}}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": null, "error": {"code": -32700}}',
        b'{"id": 1, "method": "sampling/createMessage", "params": {}}',
        b'{"method": "notifications/progress", "params": {"progressToken": 1}}',
        b'{"id": 1, "id": 1, "result": {}}',
        b'{"id": 1}',
        b'{"id": 1, "result": {}',
        b'{"id": 1, "result": {}} {}',
        b'"id"',
        b"",
        b"\xff{}",
        b"[" * 100_000,
    ],
)
def test_what_is_no_response_stays(body: bytes) -> None:
    assert replayed(asking(1), asking(2), body).body.read() == body


def test_an_answer_with_the_right_ids_stays_as_it_is() -> None:
    headers = (*JSON, (b"Content-Length", b"%d" % len(SPACED)), (b"ETag", b'"1"'))
    assert replayed(asking(1), asking(1), SPACED, headers).headers == headers


def test_what_describes_the_bytes_goes_when_they_change() -> None:
    plain = b'{"id": 1, "result": {}}'
    coded = gzip.compress(plain)
    headers = (
        *(*JSON, (b"Content-Encoding", b"gzip"), (b"Content-Length", b"%d" % len(coded))),
        *((b"Content-Digest", b"sha-256=:x:"), (b"X-Own", b"1")),
    )
    answer = replayed(asking(1), asking(2), coded, headers)
    assert answer.body.read() == plain.replace(b"1", b"2", 1)
    assert answer.headers == (*JSON, (b"X-Own", b"1"))
    assert replayed(asking(1), asking(1), coded, headers).body.read() == coded


@pytest.mark.parametrize("coded", [b"no gzip", gzip.compress(b"{}", mtime=0)[:-1]])
def test_an_answer_that_can_not_be_read_stays(coded: bytes) -> None:
    headers = (*JSON, (b"Content-Encoding", b"gzip"))
    assert replayed(asking(1), asking(2), coded, headers).body.read() == coded


def test_another_media_type_stays() -> None:
    body = b'{"id": 1, "result": {}}'
    assert replayed(asking(1), asking(2), body, ((b"Content-Type", b"text/plain"),)).body.read() == body


def test_a_batch_is_answered_by_position() -> None:
    body = b'[{"id":"x","result":2}, {"id":1.0,"result":1},{"id":null,"error":{}},{"id":9,"result":0}]'
    answer = replayed(asking(1, "x"), asking("x", "y"), body)
    assert answer.body.read() == (
        b'[{"id":"y","result":2}, {"id":"x","result":1},{"id":null,"error":{}},{"id":9,"result":0}]'
    )
    one = replayed(asking(1, batch=True), asking(5, batch=True), b'[{"id":1,"result":0}]')
    assert one.body.read() == b'[{"id":5,"result":0}]'


def test_a_batch_whose_first_ids_are_not_known_stays() -> None:
    body = b'[{"id":1,"result":0}]'
    stored = Response(200, b"OK", JSON, BytesBody(body))
    assert ids_of(asking(3, 4)).answer(stored).body.read() == body
    forged = Response(200, b"OK", (*JSON, (b"Onceproxy-Call-Ids", b"[1]")), BytesBody(body))
    assert ids_of(asking(3, 4)).answer(forged).body.read() == body


def test_what_an_upstream_says_of_ids_does_not_count() -> None:
    headers = ((b"onceproxy-call-ids", b"[2,1]"), *JSON)
    answer = replayed(asking(1, 2), asking(3, 4), b'[{"id":1,"result":0}]', headers)
    assert answer.body.read() == b'[{"id":3,"result":0}]'
    assert header_values(answer.headers, "Onceproxy-Call-Ids")[-1] == b"[1,2]"


STREAM = (
    b"\xef\xbb\xbf: hello\r\n\r\n"
    b'id: 1\nevent: message\ndata: {"method":"notifications/progress","params":{"progressToken":1}}\n\n'
    b'data: {"id":1,"method":"sampling/createMessage"}\r\r'
    b'id:1\r\ndata:{"jsonrpc":"2.0",\r\ndata: "id":\r\ndata:  1 ,\r\n'
    b'data:"result":{"id":1,"t":"\xc3\xa9\xe2\x98\xba"}}\r\n'
    b"retry: 1\r\n\r\n"
    b'data: \xff{"id":1,"result":0}\n\n'
    b'data\ndata: {"id": 1, "error": {}}\n\n'
    b'data: {"id":1,"result":2}'
)
RENUMBERED = (
    STREAM.replace(b"data:  1 ,", b'data:  "new" ,')
    .replace(b'{"id": 1, "error"', b'{"id": "new", "error"')
    .replace(b'{"id":1,"result":2}', b'{"id":"new","result":2}')
)
NEW = Renumbering(only='"new"')


def test_events_are_changed_where_they_answer() -> None:
    assert replayed(asking(1), asking("new"), STREAM, EVENTS).body.read() == RENUMBERED


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_wherever_a_stream_is_split_the_result_is_the_same(at: int) -> None:
    assert b"".join(renumbered([STREAM[:at], STREAM[at:]], NEW)) == RENUMBERED


def test_a_stream_in_single_bytes() -> None:
    assert b"".join(renumbered([bytes([byte]) for byte in STREAM], NEW)) == RENUMBERED


line = st.sampled_from(
    [
        *(b"", b"data: ", b"data:{", b'data: {"id":1,"result":1}', b'data: "id":1,', b'data: "result":0}'),
        *(b"data", b": c", b"id: 1", b"event: x", b"database: 1"),
    ]
)
streams = st.lists(st.tuples(line, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=14).map(
    lambda lines: b"".join(content + end for content, end in lines)
)


@given(stream=streams, cuts=st.lists(st.integers(0, 200), max_size=5))
def test_any_stream_in_any_pieces(stream: bytes, cuts: list[int]) -> None:
    pieces = [stream[one:other] for one, other in pairwise([0, *sorted(cuts), len(stream)])]
    whole = b"".join(renumbered([stream], NEW))
    assert b"".join(renumbered(pieces, NEW)) == whole
    assert [NEW.apply(data) for data in event_data([stream])] == list(event_data([whole]))
    assert b"".join(renumbered([stream], Renumbering())) == stream


def test_a_long_line_is_read_in_a_time_that_grows_with_it() -> None:
    pieces = [b'data: {"id":1,"result":"'] + [b"x" * 65536] * 256 + [b'"}\n\n']
    changed = b"".join(renumbered(pieces, NEW))
    assert changed == b"".join(pieces).replace(b'"id":1', b'"id":"new"')
