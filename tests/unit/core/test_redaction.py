"""Stored answers without the members that a route does not want kept."""

from __future__ import annotations

import gzip

import pytest

from onceproxy.core.messages import BytesBody, RawHeaders, Response, header_values
from onceproxy.core.redaction import is_redacted, redacted, wholly_redacted

JSON: RawHeaders = ((b"Content-Type", b"application/json"), (b"content-length", b"999"), (b"ETag", b'"x"'))
CARD = ("$.card.number", "$..cvc")


def a_response(body: bytes, headers: RawHeaders = JSON) -> Response:
    return Response(201, b"Created", headers, BytesBody(body))


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"card": {"number": "4242"}}', b'{"card": {"number": "(redacted)"}}'),
        (
            b'\xef\xbb\xbf {"id": 1.50,\n "card":{"cvc":123 , "number" :[1,{"a":2}]},"e": 1e400}\n',
            b'\xef\xbb\xbf {"id": 1.50,\n "card":{"cvc":"(redacted)" , "number" :"(redacted)"},"e": 1e400}\n',
        ),
        (b'[{"cvc": null}, 12345678901234567890]', b'[{"cvc": "(redacted)"}, 12345678901234567890]'),
    ],
)
def test_only_what_is_named_is_taken_off(body: bytes, kept: bytes) -> None:
    clean = redacted(a_response(body), CARD)

    assert clean is not None
    assert clean.body.read() == kept
    assert is_redacted(clean)
    assert header_values(clean.headers, "content-length") == [b"%d" % len(kept)]
    assert not header_values(clean.headers, "etag")


@pytest.mark.parametrize("body", [b'{"id":  1}', b""])
def test_where_nothing_is_selected_the_answer_is_as_it_was(body: bytes) -> None:
    assert redacted(a_response(body), CARD) == a_response(body)


def test_an_upstream_can_not_say_that_it_is_redacted() -> None:
    clean = redacted(a_response(b"{}", ((b"onceproxy-redacted", b"?1"),)), ())

    assert clean is not None
    assert not is_redacted(clean)


def test_a_coded_answer_is_decoded() -> None:
    headers = (*JSON, (b"Content-Encoding", b"gzip"))

    clean = redacted(a_response(gzip.compress(b'{"card": {"number": "4242"}}'), headers), CARD)

    assert clean is not None
    assert clean.body.read() == b'{"card": {"number": "(redacted)"}}'
    assert not header_values(clean.headers, "content-encoding")


@pytest.mark.parametrize(
    "body",
    [
        b"<p>4242</p>",
        b'{"card": {"number": "4242"',  # cut
        b'{"card": {"number": "4242"}, "card": {}}',  # which one counts?
        b"[" * 5000,
    ],
)
def test_what_can_not_be_read_without_doubt_is_not_kept(body: bytes) -> None:
    assert redacted(a_response(body), CARD) is None


def test_the_root_and_the_whole() -> None:
    clean = redacted(a_response(b' {"a": 1} '), ("$",))

    assert clean is not None
    assert clean.body.read() == b' "(redacted)" '
    assert wholly_redacted(a_response(b"4242")).body.read() == b'"(redacted)"'
