"""The client's key: where it may be, how it is spelled, and what is refused before any look-up."""

from __future__ import annotations

import pytest

from identity_requests import FORM, JSON, a_multipart, post, with_headers
from onceproxy.core.contents import Content
from onceproxy.core.identity import identify
from onceproxy.core.keys import BadKey, MissingKey, find_key, needs_body
from onceproxy.core.messages import Request
from onceproxy.core.receipts import IdentityKind
from onceproxy.core.rules import IdentityRules, Missing, Place, Source

HEADER = Source(Place.HEADER, "PayPal-Request-Id")
QUERY = Source(Place.QUERY, "request_id")
FIELD = Source(Place.FORM, "key")
MEMBER = Source(Place.JSON, "$.idempotency_key")


def key_of(request: Request, *sources: Source, strict: bool = False) -> bytes | None:
    return find_key(request, Content(request), IdentityRules(keys=sources, strict=strict))


@pytest.mark.parametrize(
    ("source", "request_", "key"),
    [
        (HEADER, with_headers(post(), (b"paypal-request-ID", b" k-1 ")), b"k-1"),
        (HEADER, with_headers(post(), (b"PayPal-Request-Id", b'"k-1"')), b"k-1"),
        (HEADER, post(), None),
        (QUERY, post(target=b"/x?request_id=k%2D1"), b"k-1"),
        (QUERY, post(target=b"/x?a=1"), None),
        (FIELD, post(b"a=1&key=k-1", FORM), b"k-1"),
        (FIELD, a_multipart(("a", b"1"), ("key", b"k-1")), b"k-1"),
        (FIELD, post(b"key=k-1", JSON), None),
        (MEMBER, post(b'{"idempotency_key": "k-1"}'), b"k-1"),
        (MEMBER, post(b'{"idempotency_key": "k-1"}', FORM), b"k-1"),
        (MEMBER, post(b'{"idempotency_key": 12345678901234567890}'), b"1234567890123456789e1"),
        (MEMBER, post(b'{"idempotency_key": 7}'), b"7"),
        (MEMBER, post(b'{"idempotency_key": null}'), None),
        (MEMBER, post(b'{"a": {"idempotency_key": "k-1"}}'), None),
        (MEMBER, post(b'{"idempotency_key": "1", "idempotency_key": "2"}'), None),
        (MEMBER, post(b"not json"), None),
        (Source(Place.JSON, "$.a[0].k"), post(b'{"a": [{"k": "k-1"}]}'), b"k-1"),
    ],
)
def test_each_place(source: Source, request_: Request, key: bytes | None) -> None:
    assert key_of(request_, source) == key


def test_the_first_place_with_a_key_has_it() -> None:
    request = with_headers(post(b'{"idempotency_key": "body"}'), (b"PayPal-Request-Id", b"head"))
    assert key_of(request, HEADER, MEMBER) == b"head"
    assert key_of(request, QUERY, MEMBER, HEADER) == b"body"
    assert key_of(post(), QUERY, MEMBER, HEADER) is None


@pytest.mark.parametrize(
    ("source", "request_", "words"),
    [
        (HEADER, with_headers(post(), (b"PayPal-Request-Id", b"a"), (b"paypal-request-id", b"a")), "2 times"),
        (HEADER, with_headers(post(), (b"PayPal-Request-Id", b"k" * 256)), "256 characters"),
        (HEADER, with_headers(post(), (b"PayPal-Request-Id", b"a\tb")), "visible ASCII"),
        (HEADER, with_headers(post(), (b"PayPal-Request-Id", b"\x7f")), "visible ASCII"),
        (QUERY, post(target=b"/x?request_id=a&request_id=a"), "query request_id is there 2 times"),
        (QUERY, post(target=b"/x?request_id="), "empty"),
        (QUERY, post(target=b"/x?request_id=a%00b"), "visible ASCII"),
        (QUERY, post(target=b"/x?request_id=" + b"k" * 256), "256 characters"),
        (FIELD, post(b"key=a+b", FORM), "form field key holds"),
        (FIELD, post(b"key=a&key=b", FORM), "2 times"),
        (FIELD, a_multipart(("key", b"\x01")), "visible ASCII"),
        (MEMBER, post(b'{"idempotency_key": ""}'), "empty"),
        (MEMBER, post(b'{"idempotency_key": "a\\u0007"}'), "visible ASCII"),
        (MEMBER, post('{"idempotency_key": "é"}'.encode()), "visible ASCII"),
        (MEMBER, post(b'{"idempotency_key": "\\ud800"}'), "visible ASCII"),
        (MEMBER, post(b'{"idempotency_key": "%s"}' % (b"k" * 256)), "256 characters"),
        (MEMBER, post(b'{"idempotency_key": true}'), "neither a string nor a number"),
        (MEMBER, post(b'{"idempotency_key": ["a"]}'), "neither a string nor a number"),
        (Source(Place.JSON, "$..k"), post(b'[{"k": "a"}, {"k": "a"}]'), "2 times"),
    ],
)
def test_keys_that_can_not_be_used(source: Source, request_: Request, words: str) -> None:
    with pytest.raises(BadKey, match=words):
        key_of(request_, source)


def test_a_bad_key_is_not_passed_over_for_a_good_one() -> None:
    request = with_headers(post(b'{"idempotency_key": "good"}'), (b"PayPal-Request-Id", b""))
    with pytest.raises(BadKey):
        key_of(request, HEADER, MEMBER)


def test_strict_takes_the_string_of_the_draft_alone() -> None:
    quoted = with_headers(post(), (b"PayPal-Request-Id", b'"k-1"; a=1'))
    assert key_of(quoted, HEADER, strict=True) == b"k-1"
    with pytest.raises(BadKey, match="double quotes"):
        key_of(with_headers(post(), (b"PayPal-Request-Id", b"k-1")), HEADER, strict=True)
    assert key_of(post(b'{"idempotency_key": "k-1"}'), MEMBER, strict=True) == b"k-1"


def test_where_the_key_stands_does_not_matter_to_the_identity() -> None:
    rules = IdentityRules(keys=(HEADER, MEMBER))
    head = identify(with_headers(post(), (b"PayPal-Request-Id", b"k")), rules)
    assert head.request_id == identify(post(b'{"idempotency_key": "k"}'), rules).request_id
    assert (head.kind, head.key) == (IdentityKind.KEY, b"k")


def test_the_namespace_keeps_keys_apart() -> None:
    request = with_headers(post(), (b"Idempotency-Key", b"k"))
    ids = {identify(request, IdentityRules(namespace=name)).request_id for name in ("", "charges", "refunds")}
    assert len(ids) == 3


@pytest.mark.parametrize("missing", [Missing.REJECT, Missing.PASS])
def test_a_key_may_be_wanted(missing: Missing) -> None:
    rules = IdentityRules(keys=(HEADER, MEMBER), missing=missing)
    with pytest.raises(MissingKey, match=r"PayPal-Request-Id or JSON member \$\.idempotency_key"):
        identify(post(), rules)
    assert identify(with_headers(post(), (b"PayPal-Request-Id", b"k")), rules).key == b"k"


def test_the_head_may_tell_enough() -> None:
    assert not needs_body(IdentityRules(keys=(HEADER, QUERY)))
    assert needs_body(IdentityRules(keys=(HEADER, FIELD)))
    assert needs_body(IdentityRules(keys=(MEMBER,)))
