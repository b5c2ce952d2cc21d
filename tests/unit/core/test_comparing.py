"""Comparisons say in what two requests differ, and what of it counts."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.comparing import ABSENT, Asked, Comparison, Difference, Relation, compare
from onceproxy.core.explaining import Asker, explain
from onceproxy.core.matching import Match
from onceproxy.core.messages import BytesBody, Origin, RawHeaders, Request
from onceproxy.core.routes import Route, RouteTable
from onceproxy.core.rules import (
    BodyForm,
    BodyRules,
    FingerprintRules,
    IdentityRules,
    Missing,
    Place,
    Selection,
    Source,
)

JSON = (b"Content-Type", b"application/json")
FORM = (b"Content-Type", b"application/x-www-form-urlencoded")
KEY = (b"Idempotency-Key", b"k-1")
OTHER_KEY = (b"Idempotency-Key", b"k-2")


def a_request(
    target: str = "/pay", *headers: tuple[bytes, bytes], body: Any = None, host: str = "a.com"
) -> Request:
    data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    lines: RawHeaders = headers if any(name == b"Content-Type" for name, _ in headers) else (JSON, *headers)
    return Request("POST", Origin("https", host, 443), target.encode(), lines, BytesBody(data))


def compared(
    first: Request,
    second: Request,
    *routes: Route,
    askers: tuple[Asker, Asker] = (Asker(), Asker()),
) -> Comparison:
    table = RouteTable(Route(), routes)
    one, other = (
        Asked(request, asker, explain(table, request, asker))
        for request, asker in zip((first, second), askers, strict=True)
    )
    return compare(table, one, other)


def names(differences: tuple[Difference, ...]) -> list[str]:
    return [one.what for one in differences]


def test_a_copy_and_what_differs_without_counting() -> None:
    rules = IdentityRules(
        fingerprint=FingerprintRules(
            query=Selection(exclude=("n",)), body=BodyRules(BodyForm.JSON, Selection(exclude=("$.t",)))
        )
    )
    route = Route("r", Match(paths=("/pay",)), identity=rules)
    found = compared(
        a_request("/pay?n=1", (b"X-Try", b"1"), (b"Same", b"1"), body={"a": 1, "t": 1}),
        a_request("/pay?n=2", (b"x-try", b"2"), (b"Same", b"1"), (b"More", b"1"), body={"t": 2, "a": 1}),
        route,
    )

    assert found == Comparison(Relation.COPY, (), (), ("query", "header x-try", "header more", "body"))


def test_members_of_json_in_which_they_differ() -> None:
    found = compared(
        a_request(body={"a": 1, "list": [1, {"b": "x"}], "long": [1, 2], "gone": None, "same": 5, "t": 1}),
        a_request(body={"a": 2, "list": [1, {"b": "y"}], "long": [1], "t": True, "same": 5, "a b": "new"}),
    )

    assert found.relation is Relation.OTHER
    assert names(found.identity) == ["fingerprint"]
    assert sorted(found.content, key=lambda one: one.what) == [
        Difference("body $.a", 1, 2),
        Difference("body $.gone", None, ABSENT),
        Difference("body $.list[1].b", "x", "y"),
        Difference("body $.long", [1, 2], [1]),
        Difference("body $.t", 1, True),
        Difference('body $["a b"]', ABSENT, "new"),
    ]
    assert found.ignored == ()


def test_query_forms_path_and_the_way_a_body_is_read() -> None:
    one = compared(
        a_request("/a?x=1&y=2", FORM, body=b"q=1&r=2&r=3"), a_request("/b?y=2&x=3", FORM, body=b"r=4&r=2&q=1")
    )
    other = compared(a_request(body=b"{}"), a_request("/pay", FORM, body=b"q=1"))

    assert one.content == (
        Difference("path", "/a", "/b"),
        Difference("query", ["x=1"], ["x=3"]),
        Difference("body", ["r=3"], ["r=4"]),
    )
    assert names(other.content)[:2] == ["body read as", "body's media type"]


def test_the_order_of_an_array_in_a_form_counts() -> None:
    found = compared(
        a_request("/a", FORM, body=b"i[]=1&i[]=2&a=1"), a_request("/a", FORM, body=b"a=1&i[]=2&i[]=1")
    )

    assert found.content == (Difference("body", ["a=1", "i[]=1", "i[]=2"], ["a=1", "i[]=2", "i[]=1"]),)


def test_headers_that_count() -> None:
    rules = IdentityRules(fingerprint=FingerprintRules(headers=("X-V",)))
    found = compared(
        a_request("/pay", (b"X-V", b"1")),
        a_request("/pay"),
        Route("r", Match(paths=("/pay",)), identity=rules),
    )

    assert found.content == (Difference("header x-v", ["1"], []),)
    assert found.ignored == ()


def test_secrets_are_told_apart_and_not_told() -> None:
    found = compared(
        a_request("/pay?token=s3cr3t&b=1", body={"password": "s3cr3t", "secret": "s3cr3t-2"}),
        a_request("/pay?token=s3cr3t-2&b=1", body={"password": "s3cr3t-2", "secret": "s3cr3t-2"}),
    )

    assert names(found.content) == ["query", "body $.password"]
    assert all(one.first != one.second for one in found.content)
    assert "s3cr3t" not in repr(found)


def test_numbers_that_look_the_same_are_said_to_differ() -> None:
    found = compared(a_request(body=b'{"n": 0.1}'), a_request(body=b'{"n": 0.10000000000000000001}'))

    assert (found.relation, names(found.content)) == (Relation.OTHER, ["body"])


def test_keys_origins_scopes_and_actions() -> None:
    same = compared(a_request("/pay", KEY), a_request("/pay", KEY))
    reused = compared(a_request("/pay", KEY, body={"a": 1}), a_request("/pay", KEY, body={"a": 2}))
    other = compared(a_request("/pay", KEY), a_request("/pay", OTHER_KEY))
    none = compared(a_request("/pay", KEY), a_request("/pay"))
    moved = compared(a_request("/pay", KEY), a_request("/pay", KEY, host="b.com"))
    asked = compared(
        a_request("/pay", KEY), a_request("/pay", KEY), askers=(Asker("ann"), Asker("bob", b"again"))
    )

    assert (same.relation, same.identity, same.content) == (Relation.COPY, (), ())
    assert (reused.relation, reused.identity) == (Relation.KEY_REUSED, ())
    assert reused.content == (Difference("body $.a", 1, 2),)
    assert (other.relation, other.identity) == (Relation.OTHER, (Difference("key", "k-1", "k-2"),))
    assert none.identity == (Difference("kind", "key", "fingerprint"), Difference("key", "k-1", ABSENT))
    assert moved.identity == (Difference("origin", "https://a.com", "https://b.com"),)
    assert asked.identity == (
        Difference("scope", ["user:ann"], ["user:bob"]),
        Difference("Onceproxy-Action", ABSENT, "again"),
    )


def test_routes_and_what_is_not_guarded() -> None:
    route = Route("r", Match(paths=("/pay",)), identity=IdentityRules(namespace="n"))
    reads = Route("reads", Match(paths=("/search",)), guard=False)
    strict = Route("strict", Match(paths=("/strict",)), identity=IdentityRules(missing=Missing.REJECT))

    routed = compared(a_request("/pay", KEY), a_request("/other", KEY), route)
    passed = compared(a_request("/pay"), a_request("/search"), route, reads)
    refused = compared(a_request("/strict"), a_request("/pay"), route, strict)

    assert names(routed.identity) == ["route", "namespace"]
    assert (passed.relation, names(passed.identity)) == (Relation.NOT_GUARDED, ["route", "guarded"])
    assert (refused.relation, refused.content, refused.ignored) == (Relation.NOT_GUARDED, (), ())


def test_a_header_that_holds_the_key_or_the_scope_counts() -> None:
    rules = IdentityRules(scope=(Source(Place.HEADER, "X-Tenant"),))
    found = compared(
        a_request("/pay", KEY, (b"X-Tenant", b"t1")),
        a_request("/pay", OTHER_KEY, (b"X-Tenant", b"t2")),
        Route("r", Match(paths=("/pay",)), identity=rules),
    )

    assert names(found.identity) == ["key", "scope"]
    assert found.ignored == ()


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "token"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "token"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abc"), values), st.dictionaries(st.sampled_from("abc"), values))
def test_there_is_a_difference_wherever_there_are_two_identities(first: Any, second: Any) -> None:
    found = compared(a_request(body=first), a_request(body=second))

    assert (found.relation is Relation.OTHER) == bool(found.identity) == bool(found.content)
