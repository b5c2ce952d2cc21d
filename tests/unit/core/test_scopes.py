"""Whose an action is: part of its identity, told without secrets."""

from __future__ import annotations

import pytest

from identity_requests import FORM, post, with_headers
from onceproxy.core.identity import identify
from onceproxy.core.messages import Request
from onceproxy.core.rules import PROXY_USER, IdentityRules, Place, Source

ACCOUNT = Source(Place.HEADER, "Stripe-Account")
AWS = b"AWS4-HMAC-SHA256 Credential=AKIA1/20261124/eu/sqs/aws4_request, SignedHeaders=host, Signature=%s"


def scoped(*scope: str | Source) -> IdentityRules:
    return IdentityRules(scope=scope)


def from_account(account: bytes) -> Request:
    return with_headers(post(), (b"stripe-account", account))


def test_each_value_is_a_scope_of_its_own() -> None:
    rules = scoped(PROXY_USER, ACCOUNT)
    ids = {
        identify(request, rules, user=user).request_id
        for request in (post(), from_account(b""), from_account(b"acct_1"), from_account(b"acct_2"))
        for user in (None, "run-1", "run-2")
    }
    assert len(ids) == 12


def test_scope_sources_of_all_places_count() -> None:
    for source, one, other in (
        (Source(Place.QUERY, "t"), post(target=b"/x?t=1"), post(target=b"/x?t=2")),
        (Source(Place.FORM, "t"), post(b"t=1", FORM), post(b"t=2", FORM)),
        (Source(Place.JSON, "$.t"), post(b'{"t": 1}'), post(b'{"t": 2}')),
        (Source(Place.JSON, "$..t"), post(b'[{"t": 1}, {"t": 2}]'), post(b'[{"t": 12}]')),
    ):
        keyed = [with_headers(request, (b"Idempotency-Key", b"k")) for request in (one, other)]
        assert len({identify(request, scoped(source)).request_id for request in keyed}) == 2


def test_the_user_counts_only_where_the_route_says_so() -> None:
    assert identify(post(), scoped(), user="a") == identify(post(), scoped(), user="b")
    assert identify(post(), scoped(), user="a").scope == ()


def test_parts_can_not_be_taken_for_others() -> None:
    first, second = Source(Place.QUERY, "a"), Source(Place.QUERY, "a=b")
    one = with_headers(post(target=b"/x?a=b%3Dc"), (b"Idempotency-Key", b"k"))
    other = with_headers(post(target=b"/x?a%3Db=c"), (b"Idempotency-Key", b"k"))
    assert identify(one, scoped(first)).scope == ("query:a=b=c",) == identify(other, scoped(second)).scope
    assert identify(one, scoped(first)).request_id != identify(other, scoped(second)).request_id


def test_a_signature_as_scope_is_who_signs() -> None:
    rules = scoped(Source(Place.HEADER, "Authorization"))
    one, other = (
        identify(with_headers(post(), (b"Authorization", AWS % sign)), rules) for sign in (b"1", b"2")
    )
    assert one == other
    bearer = identify(with_headers(post(), (b"Authorization", b"Bearer t")), rules)
    assert bearer.request_id != one.request_id


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (ACCOUNT, "header:Stripe-Account=acct_1"),
        (Source(Place.HEADER, "Authorization"), "header:Authorization=(hidden)"),
        (Source(Place.HEADER, "X-Tenant-Token"), "header:X-Tenant-Token=(hidden)"),
        (Source(Place.QUERY, "api_key"), "query:api_key=(hidden)"),
        (Source(Place.QUERY, "long"), f"query:long={'x' * 100}…"),
        (Source(Place.JSON, "$.absent"), None),
    ],
)
def test_secrets_are_not_told(source: Source, words: str | None) -> None:
    request = with_headers(
        post(target=b"/x?api_key=s3cret&long=" + b"x" * 200),
        (b"Stripe-Account", b"acct_1"),
        (b"Authorization", b"Bearer s3cret"),
        (b"X-Tenant-Token", b"s3cret"),
    )
    assert identify(request, scoped(source)).scope == (() if words is None else (words,))
