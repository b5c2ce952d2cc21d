"""GraphQL: what is a mutation, and which spellings of one are the same action."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.identity import identify
from onceproxy.core.messages import BytesBody, Origin, Request
from onceproxy.core.routes import Route
from onceproxy.core.rules import BodyForm, BodyRules, FingerprintRules, IdentityRules, Selection

API = Origin("https", "api.example.com", 443)
PAY = "mutation Pay { pay(amount: 5) { id } }"
ASK = "query Ask { orders { id } }"


def rules(**body: Any) -> IdentityRules:
    return IdentityRules(fingerprint=FingerprintRules(body=BodyRules(BodyForm.GRAPHQL, **body)))


ROUTE = Route(identity=rules())


def request(document: Any, *, method: str = "POST", media_type: bytes = b"application/json") -> Request:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Request(method, API, b"/graphql", ((b"Content-Type", media_type),), BytesBody(body))


def asking(query: str, **members: Any) -> Request:
    return request({"query": query, **members})


def same(one: Request, other: Request, how: IdentityRules = ROUTE.identity) -> bool:
    return identify(one, how) == identify(other, how)


@pytest.mark.parametrize(
    ("asked", "guarded"),
    [
        (asking(PAY), True),
        (asking(ASK), False),
        (asking("{ orders { id } }"), False),
        (asking("subscription { paid { id } }"), False),
        (asking(PAY + ASK, operationName="Ask"), False),
        (asking(PAY + ASK, operationName="Pay"), True),
        (asking(ASK, operationName=""), False),
        (request([{"query": ASK}, {"query": ASK}]), False),
        (request([{"query": ASK}, {"query": PAY}]), True),
        (request(ASK.encode(), media_type=b"application/graphql"), False),
        (request(PAY.encode(), media_type=b"application/graphql"), True),
        (request({"query": PAY}, method="GET"), False),
        (request({"query": ASK}, method="PUT"), False),
    ],
)
def test_only_mutations_are_actions(asked: Request, guarded: bool) -> None:
    assert ROUTE.guards(asked) is guarded


@pytest.mark.parametrize(
    "unclear",
    [
        asking(PAY + ASK),
        asking(PAY + ASK, operationName="Other"),
        asking(ASK + PAY, operationName=""),
        asking("query {"),
        asking("type Query { a: Int }"),
        asking(""),
        asking("{ ...Missing }"),
        asking("{ ...F } fragment F on T { a } fragment F on T { b }"),
        asking(ASK, operationName=7),
        request({"id": "2f1a", "variables": {}}),
        request({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "ab"}}}),
        request({"query": 7}),
        request({}),
        request([]),
        request(["{ a }"]),
        request(b"query { a }"),
        request(b"\xff", media_type=b"application/graphql"),
        request(b'{"query": "{ a }", "query": "mutation { a }"}'),
        request(b"--x\r\n", media_type=b"multipart/form-data; boundary=x"),
    ],
)
def test_what_may_be_a_mutation_is_an_action(unclear: Request) -> None:
    assert ROUTE.guards(unclear)
    assert same(unclear, unclear)


def test_a_route_can_guard_queries_or_nothing() -> None:
    assert Route(guard=True, identity=rules()).guards(asking(ASK))
    assert not Route(guard=False, identity=rules()).guards(asking(PAY))


BOMBS = {
    "fields": "{ a " * 100_000 + "}" * 100_000,
    "unclosed": "{a" * 100_000,
    "lists": "{ a(x: " + "[" * 50_000 + "]" * 50_000 + ") }",
    "types": "query ($x: " + "[" * 50_000 + "Int" + "]" * 50_000 + ") { a }",
    "fragments": "mutation { ...F0 } "
    + " ".join(f"fragment F{n} on T {{ ...F{n + 1} ...F{n + 1} }}" for n in range(300))
    + " fragment F300 on T { a }",
    "circle": "mutation { ...F } fragment F on T { ...G } fragment G on T { ...F }",
    "large": "mutation { a(text: " + json.dumps("x" * 1_000_000) + ") }",
    "tokens": "mutation { " + "a " * 500_000 + "}",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_an_action_with_an_identity(bomb: str) -> None:
    asked = asking(BOMBS[bomb])
    assert ROUTE.guards(asked)
    assert same(asked, asking(BOMBS[bomb]))
    assert not same(asked, asking(BOMBS[bomb] + " #"), IdentityRules())


@pytest.mark.parametrize("depth", [*range(60, 100, 4), 200, 400])
def test_how_deep_a_document_may_nest_does_not_depend_on_the_stack(depth: int) -> None:
    # Long enough to be read anew each time.
    asked = asking("mutation {" + "a {" * depth + "b" + "}" * depth + "}" + "#" * 20_000)

    def deeper(frames: int) -> object:
        return deeper(frames - 1) if frames else identify(asked, ROUTE.identity)

    assert deeper(0) == deeper(300)


@pytest.mark.parametrize(
    ("document", "within"),
    [
        ("mutation {" + "a {" * 75 + "b" + "}" * 75 + "}", True),
        ("mutation {" + "a {" * 85 + "b" + "}" * 85 + "}", False),
        ("mutation {" + " a" * 19_000 + "}", True),
        ("mutation {" + " a" * 21_000 + "}", False),
        ("mutation { a(text: " + json.dumps("x" * 250_000) + ") }", True),
        ("mutation { a(text: " + json.dumps("x" * 270_000) + ") }", False),
    ],
    ids=["depth", "too-deep", "tokens", "too-many", "size", "too-large"],
)
def test_within_limits_a_document_is_read_and_beyond_compared(document: str, within: bool) -> None:
    assert same(asking(document), asking(document + " # the same")) is within


def test_the_form_does_not_depend_on_process_or_version() -> None:
    names = [f"F{number}" for number in range(7)]
    spreads = "".join(f" ...{name}" for name in names)
    fragments = "".join(f" fragment {name} on T @b(x: [1, 2.50]) {{ a }}" for name in names)
    asked = asking(
        f'mutation A($x: [Int!]! = [1], $y: I) {{ a(b: $x, c: "d", e: {{f: G, h: null}}) {{{spreads} }} }}'
        + fragments
    )
    assert identify(asked, ROUTE.identity).fingerprint.hex() == (
        "60a423677e7d85b4d096b61d97fef7c5158ee6a4072bfa50aaded843e4fb7e99"
    )


# A document in parts, so that its parts can be put in any order and spaced in any way.

VARIABLES = ("$amount: Int! = 5", "$to: [ID!]", "$note: String @lower")
ARGUMENTS = ("amount: $amount", "to: $to", 'note: "n"', "urgent: true", "card: {number: 42, cvc: null}")
FRAGMENTS = ("fragment Order on Order { id ...Who }", "fragment Who on Order { name }")
spaces = st.sampled_from([" ", "\n", "\t ", ",", " # amount: 7\n", " ,,\r\n"])


def document(variables: Sequence[str], arguments: Sequence[str], fragments: Sequence[str], space: str) -> str:
    operation = (
        f"mutation Pay({space.join(variables)}) @live {{{space}pay({space.join(arguments)}){space}"
        f"{{ ...Order {space} at }} }}"
    )
    return space.join([*fragments, operation])


PLAIN = document(VARIABLES, ARGUMENTS, FRAGMENTS, " ")


@given(
    variables=st.permutations(VARIABLES),
    arguments=st.permutations(ARGUMENTS),
    fragments=st.permutations(FRAGMENTS),
    space=spaces,
    values=st.permutations([("amount", 5), ("to", ["a", "b"]), ("note", None)]),
)
def test_order_and_layout_that_mean_nothing_do_not_matter(
    variables: list[str], arguments: list[str], fragments: list[str], space: str, values: list[Any]
) -> None:
    given_ = {"amount": 5, "to": ["a", "b"], "note": None}
    one = asking(PLAIN, variables=given_)
    other = asking(document(variables, arguments, fragments, space), variables=dict(values))
    assert same(one, other)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("= 5", "= 6"),
        ("Int!", "Int"),
        ('"n"', '"N"'),
        ("true", "false"),
        ("42", "43"),
        ("42", '"42"'),
        ("null", "0"),
        ("42, cvc: null", "42"),
        ("amount: $amount", "amount: $to"),
        ("pay(", "paid: pay("),
        ("pay(", "payout("),
        ("{ name }", "{ name phone }"),
        ("{ id ...Who }", "{ ...Who id }"),
        ("on Order { name }", "on Person { name }"),
        ("@live", "@test"),
        ("@live", ""),
        ("@lower", "@upper"),
        ("mutation Pay", "mutation Refund"),
    ],
)
def test_a_change_of_the_document_is_another_action(before: str, after: str) -> None:
    assert before in PLAIN
    assert not same(asking(PLAIN), asking(PLAIN.replace(before, after, 1)))


json_values = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.lists(st.integers())


@given(
    one=st.dictionaries(st.text(max_size=3), json_values),
    other=st.dictionaries(st.text(max_size=3), json_values),
)
def test_a_change_of_a_variable_is_another_action(one: dict[str, Any], other: dict[str, Any]) -> None:
    alike = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert same(asking(PAY, variables=one), asking(PAY, variables=other)) is alike


@given(text=st.text(max_size=8), other=st.text(max_size=8))
def test_a_change_of_a_literal_is_another_action(text: str, other: str) -> None:
    def noting(note: str) -> Request:
        return asking(f"mutation {{ note(text: {json.dumps(note)}) }}")

    assert same(noting(text), noting(other)) is (text == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (asking(PAY), asking(PAY, variables=None)),
        (asking(PAY), asking(PAY, variables={})),
        (asking(PAY), asking(PAY, operationName="Pay")),
        (asking(PAY), asking(PAY + ASK, operationName="Pay")),
        (asking(PAY), asking(PAY + " fragment Unused on T { a }")),
        (asking(PAY), asking(PAY, extensions={"persistedQuery": {"version": 1, "sha256Hash": "ab"}})),
        (asking('mutation { a(x: "b") }'), asking('mutation { a(x: """b""") }')),
    ],
)
def test_what_says_the_same(one: Request, other: Request) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (request([{"query": PAY}]), request([{"query": PAY}, {"query": PAY}])),
        (request([{"query": PAY}, {"query": ASK}]), request([{"query": ASK}, {"query": PAY}])),
        (asking("mutation { a b }"), asking("mutation { b a }")),
        (asking(PAY), asking(PAY, extensions={"key": "k-1"})),
        (request({"id": "doc-1", "variables": {"a": 1}}), request({"id": "doc-1", "variables": {"a": 2}})),
        (request({"id": "doc-1"}), request({"id": "doc-2"})),
        (asking("mutation { a(x: 1) }"), asking("mutation { a(x: 1.0) }")),
    ],
)
def test_what_says_something_else(one: Request, other: Request) -> None:
    assert not same(one, other)


def test_a_route_leaves_members_out() -> None:
    how = rules(members=Selection(exclude=("$.extensions.trace", "$.variables.clientMutationId")))
    one = asking(PAY, variables={"a": 1, "clientMutationId": "x"}, extensions={"trace": 1})
    other = asking(PAY, variables={"a": 1, "clientMutationId": "y"}, extensions={"trace": 2})
    assert same(one, other, how)
    assert not same(one, other)
