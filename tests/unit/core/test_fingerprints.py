"""What a fingerprint covers: all that counts, nothing that does not, and never too little."""

from __future__ import annotations

import gzip
import random

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_requests import FORM, JSON, a_multipart, body_of, body_rules, digest, post, with_headers
from onceproxy.core import fingerprints
from onceproxy.core.messages import RawHeaders, Request
from onceproxy.core.rules import NONE, BodyForm, FingerprintRules, Selection

NONCE = body_rules(BodyForm.JSON, exclude=("$.nonce",))
ORDER_ID = body_rules(BodyForm.JSON, include=("$.id",))
FORM_NONCE = body_rules(BodyForm.FORM, exclude=("nonce",))
FORM_ID = body_rules(BodyForm.FORM, include=("id",))


def test_the_query_by_names() -> None:
    one, other = post(target=b"/x?a=1&nonce=2"), post(target=b"/x?nonce=3&a=1")
    for rules in (Selection(exclude=("nonce",)), Selection(include=("a",))):
        assert digest(one, FingerprintRules(query=rules)) == digest(other, FingerprintRules(query=rules))
        assert digest(one, FingerprintRules(query=rules)) != digest(
            post(target=b"/x?a=2&nonce=2"), FingerprintRules(query=rules)
        )
    assert digest(one) != digest(other)
    assert digest(one, FingerprintRules(query=NONE)) == digest(
        post(target=b"/x"), FingerprintRules(query=NONE)
    )
    missing = FingerprintRules(query=Selection(include=("b",)))
    assert digest(one, missing) != digest(other, missing)


def test_chosen_headers_count_with_all_their_lines() -> None:
    rules = FingerprintRules(headers=("Stripe-Account", "X-B"))
    one = with_headers(post(), (b"stripe-account", b" acct_1 "), (b"x-b", b"1"), (b"x-c", b"1"))
    assert digest(one, rules) == digest(
        with_headers(post(), (b"X-B", b"1"), (b"X-C", b"2"), (b"Stripe-Account", b"acct_1")), rules
    )
    assert digest(one, rules) == digest(one, FingerprintRules(headers=("x-b", "stripe-account")))
    seen = {digest(one, rules), digest(post(), rules)}
    for lines in (((b"X-B", b""),), ((b"X-B", b"1"),), ((b"X-B", b"1"), (b"X-B", b"1"))):
        seen.add(digest(with_headers(post(), *lines), rules))
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        (b"X-Amz-Target", b"DynamoDB_20120810.PutItem", b"DynamoDB_20120810.DeleteItem"),
        (b"SOAPAction", b'"urn:Pay"', b'"urn:Refund"'),
        (b"x-http-method-override", b"PATCH", b"DELETE"),
        (b"Destination", b"/b", b"/c"),
        (b"x-amz-copy-source", b"/bucket/a", b"/bucket/b"),
        (b"Content-Range", b"bytes 0-9/20", b"bytes 10-19/20"),
        (b"If-Match", b'"1"', b'"2"'),
    ],
)
def test_headers_that_say_what_is_asked_for_count_without_being_chosen(
    name: bytes, one: bytes, other: bytes
) -> None:
    first, second = with_headers(post(), (name, one)), with_headers(post(), (name, other))

    assert len({digest(first), digest(second), digest(post())}) == 3
    assert digest(first) == digest(with_headers(post(), (name.upper(), one)))
    assert digest(first) == digest(first, FingerprintRules(headers=(name.decode(),)))


@pytest.mark.parametrize(
    ("rules", "one", "same", "different"),
    [
        (NONCE, post(b'{"id":1,"nonce":1}'), post(b'{"nonce": 2, "id": 1}'), post(b'{"id":2,"nonce":1}')),
        (ORDER_ID, post(b'{"id":1,"nonce":1}'), post(b'{"nonce": 2, "id": 1}'), post(b'{"id":2,"nonce":1}')),
        (FORM_NONCE, post(b"id=1&nonce=1", FORM), post(b"nonce=2&id=1", FORM), post(b"id=2&nonce=1", FORM)),
        (FORM_ID, post(b"id=1&nonce=1", FORM), post(b"nonce=2&id=1", FORM), post(b"id=2&nonce=1", FORM)),
        (
            FORM_NONCE,
            a_multipart(("id", b"1"), ("nonce", b"1")),
            a_multipart(("nonce", b"2"), ("id", b"1"), boundary=b"b2"),
            a_multipart(("id", b"2"), ("nonce", b"1")),
        ),
        (body_rules(BodyForm.NONE), post(b"1"), post(b"2"), post(b"1", target=b"/other")),
        (
            body_rules(BodyForm.JSON, exclude=("$.n",)),
            post(b'{"n": 1, "id": 12345678901234567890}'),
            post(b'{"id": 12345678901234567890, "n": 2}'),
            post(b'{"n": 1, "id": 12345678901234567891}'),
        ),
        # JSON, whatever its media type says: curl's is that of a form.
        (
            NONCE,
            post(b'{"id":1,"nonce":1}', FORM),
            post(b'{"id":1,"nonce":2}', FORM),
            post(b'{"id":2}', FORM),
        ),
    ],
)
def test_what_is_left_out_does_not_count(
    rules: FingerprintRules, one: Request, same: Request, different: Request
) -> None:
    assert digest(one, rules) == digest(same, rules)
    assert digest(one, rules) != digest(different, rules)


@pytest.mark.parametrize(
    ("rules", "one", "other"),
    [
        (ORDER_ID, b'{"nonce": 1}', b'{"nonce": 2}'),  # nothing is selected
        (ORDER_ID, b"[1]", b"[2]"),
        (ORDER_ID, b'{"id":1,"id":2}', b'{"id":2,"id":2}'),
        (ORDER_ID, b'{"id":1,', b'{"id":1,,'),
        (NONCE, b'{"nonce":1,"nonce":1}', b'{"nonce":2,"nonce":2}'),
        (ORDER_ID, b"id=1&nonce=1", b"id=1&nonce=2"),
        (FORM_ID, b'{"id":1,"nonce":1}', b'{"id":1,"nonce":2}'),
        (FORM_NONCE, b'{"a":"x&nonce=1"}', b'{"a":"x&nonce=2"}'),
        (FORM_ID, b"nonce=1", b"nonce=2"),
    ],
)
@pytest.mark.parametrize("headers", [JSON, FORM, ((b"Content-Type", b"text/plain"),), ()], ids=str)
def test_a_rule_that_does_not_fit_leaves_the_whole_body(
    rules: FingerprintRules, one: bytes, other: bytes, headers: RawHeaders
) -> None:
    assert digest(post(one, headers), rules) != digest(post(other, headers), rules)


def test_json_that_comes_as_a_form_is_not_taken_apart_at_its_ampersands() -> None:
    one, other = post(b'{"u":"x&b&c&d"}', FORM), post(b'{"u":"x&c&b&d"}', FORM)
    assert body_of(one).read_as == "bytes"
    assert digest(one) != digest(other)


def test_multipart_parts_in_any_order_but_for_those_of_one_name() -> None:
    one = a_multipart(("a", b"1"), ("b", b"2"), ("a", b"3"))
    assert body_of(one).read_as == "multipart"
    assert digest(one) == digest(a_multipart(("b", b"2"), ("a", b"1"), ("a", b"3"), boundary=b"other"))
    for other in (
        a_multipart(("a", b"3"), ("b", b"2"), ("a", b"1")),
        a_multipart(("a", b"1"), ("b", b"2")),
        a_multipart(("a", b"1"), ("b", b"2"), ("a", b"4")),
        a_multipart(("a", b"1"), ("c", b"2"), ("a", b"3")),
    ):
        assert digest(one) != digest(other)


def test_multipart_that_is_no_form_keeps_its_order() -> None:
    one = a_multipart(("a", b"1"), ("b", b"2"), kind=b"mixed")
    assert digest(one) == digest(a_multipart(("a", b"1"), ("b", b"2"), kind=b"mixed", boundary=b"other"))
    assert digest(one) != digest(a_multipart(("b", b"2"), ("a", b"1"), kind=b"mixed"))


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.binary(max_size=4)), unique_by=lambda pair: pair[0]),
    st.integers(),
)
def test_shuffled_parts_are_the_same(parts: list[tuple[str, bytes]], seed: int) -> None:
    mixed = parts.copy()
    random.Random(seed).shuffle(mixed)
    assert digest(a_multipart(*mixed)) == digest(a_multipart(*parts))


def test_a_coded_body_is_what_it_says() -> None:
    text = b'{"id": 1, "nonce": 2}'
    plain = digest(post(text), NONCE)
    for coding, coded in ((b"gzip", gzip.compress(text, mtime=1)), (b"BR", brotli.compress(text))):
        assert digest(with_headers(post(coded), (b"Content-Encoding", coding)), NONCE) == plain
    twice = gzip.compress(brotli.compress(text))
    assert digest(with_headers(post(twice), (b"Content-Encoding", b"br, gzip")), NONCE) == plain
    early, late = (
        with_headers(post(gzip.compress(b"\0text", mtime=when), ()), (b"Content-Encoding", b"gzip"))
        for when in (1, 2)
    )
    assert digest(early) == digest(late)


def test_a_body_whose_coding_is_bad_is_its_bytes() -> None:
    one = with_headers(post(b'{"a":1}'), (b"Content-Encoding", b"gzip"))
    assert body_of(one, NONCE).read_as == "bytes"
    assert digest(one, NONCE) != digest(
        with_headers(post(b'{"a": 1}'), (b"Content-Encoding", b"gzip")), NONCE
    )
    assert digest(one, NONCE) != digest(with_headers(post(b'{"a":1}'), (b"Content-Encoding", b"br")), NONCE)
    assert digest(one, NONCE) != digest(post(b'{"a":1}'), NONCE)


@pytest.mark.parametrize("form", BodyForm)
def test_every_form_of_body_is_read(form: BodyForm) -> None:
    for request in (post(b'{"a": 1}'), post(b"a=1", FORM), a_multipart(("a", b"1")), post(b"\xff", ())):
        assert len(digest(request, body_rules(form))) == 32


@pytest.mark.parametrize("form", BodyForm)
def test_a_large_body_is_digested_as_a_small_one(form: BodyForm, monkeypatch: pytest.MonkeyPatch) -> None:
    request, rules = with_headers(post(), (b"If-Match", b'"1"')), body_rules(form)
    at_once = digest(request, rules)
    monkeypatch.setattr(fingerprints, "SMALL", -1)
    assert digest(request, rules) == at_once
