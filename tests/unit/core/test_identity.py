"""The request_id: a function of what is asked for, and of nothing else."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.identity import BadKey, identify, read_key
from onceproxy.core.messages import BytesBody, Origin, Request
from onceproxy.core.receipts import IdentityKind, RequestId

API = Origin("https", "api.example.com", 443)
JSON_HEADERS = ((b"Content-Type", b"application/json"),)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def post(body: bytes = b"", target: bytes = b"/v1/charges", **changes: Any) -> Request:
    return replace(Request("POST", API, target, JSON_HEADERS, BytesBody(body)), **changes)


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: shuffled(value[name], chance) for name in names}
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


@given(document=json_values, seed=st.integers(), indent=st.sampled_from([None, 0, 3]), ascii_=st.booleans())
def test_json_layout_does_not_matter(document: Any, seed: int, indent: int | None, ascii_: bool) -> None:
    one = json.dumps(document).encode()
    other = json.dumps(shuffled(document, random.Random(seed)), indent=indent, ensure_ascii=ascii_).encode()
    assert identify(post(one)) == identify(post(other))


@given(one=json_values, other=json_values)
def test_another_document_is_another_action(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    ids = {identify(post(json.dumps(value).encode())).request_id for value in (one, other)}
    assert (len(ids) == 1) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"id": 12345678901234567890}', b'{"id": 12345678901234567891}'),
        (b'{"x": 0.12345678901234567890}', b'{"x": 0.12345678901234567891}'),
        (b'{"x": 1e400}', b'{"x": 1e401}'),
        (b'{"x": 1e-999999999999999999999}', b'{"x": 0}'),
        (b'{"a": 1, "a": 2}', b'{"a": 2}'),
        (b'{"a": 1, "a": 2}', b'{"a": 2, "a": 1}'),
        (b'{"a": "1"}', b'{"a": 1}'),
        (b'{"a": "\xc3\xa9"}', b'{"a": "e\xcc\x81"}'),
        (b'{"a": "\\ud800"}', b'{"a": "\\udfff"}'),
        (b"not json", b"not  json"),
        (b"\xff\xfe{}", b"{}"),
        (b"NaN", b"null"),
        (b"", b"{}"),
    ],
)
def test_documents_that_must_not_be_conflated(one: bytes, other: bytes) -> None:
    assert identify(post(one)).request_id != identify(post(other)).request_id


@pytest.mark.parametrize(
    ("one", "other"), [(b'{"x": 1.0}', b'{"x": 1}'), (b'{"x": 0.10}', b'{"x":0.1}'), (b"[1e2]", b"[100]")]
)
def test_spellings_of_one_number(one: bytes, other: bytes) -> None:
    assert identify(post(one)) == identify(post(other))


def test_deep_nesting_is_compared_by_its_bytes() -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    assert identify(post(deep)) == identify(post(deep))
    assert identify(post(deep)) != identify(post(deep + b" "))


def test_forms_are_pairs_in_any_order() -> None:
    form = ((b"content-type", b"application/x-www-form-urlencoded; charset=utf-8"),)
    one = identify(post(b"amount=5&to=a%62c", headers=form))
    assert one == identify(post(b"to=abc&amount=5", headers=form))
    assert one != identify(post(b"to=abc&amount=5&amount=5", headers=form))
    assert one != identify(post(b"to=abc%26amount=5", headers=form))


def test_other_bodies_are_their_bytes() -> None:
    text = ((b"Content-Type", b"text/plain"),)
    assert identify(post(b"a=1&b=2", headers=text)) != identify(post(b"b=2&a=1", headers=text))
    coded = (*JSON_HEADERS, (b"Content-Encoding", b"gzip"))
    assert identify(post(b'{"a":1}', headers=coded)) != identify(post(b'{"a": 1}', headers=coded))


def test_query_order_and_spelling() -> None:
    one = identify(post(target=b"/v1/%7Euser?b=2&a=1"))
    assert one == identify(post(target=b"/v1/~user?a=1&b=2"))
    assert one == identify(post(target=b"/v1/%7euser?a=%31&b=2"))
    assert identify(post(target=b"/a%2fb")) == identify(post(target=b"/a%2Fb"))
    for different in (b"/v1/~user?a=1", b"/v1/~user?a=1&b=2&b=2", b"/v1/~user", b"/v1/~USER?a=1&b=2"):
        assert one != identify(post(target=different))
    assert identify(post(target=b"/a%2Fb")) != identify(post(target=b"/a/b"))


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"origin": replace(API, scheme="http", port=80)},
        {"origin": replace(API, host="api.example.org")},
        {"origin": replace(API, port=8443)},
        {"target": b"/v1/refunds"},
        {"body": BytesBody(b'{"amount": 2}')},
        {"headers": ((b"Content-Type", b"application/merge-patch+json"),)},
    ],
)
def test_each_part_counts(change: dict[str, Any]) -> None:
    one = post(b'{"amount": 1}')
    assert identify(one).request_id != identify(replace(one, **change)).request_id


def test_scope_and_action_count_and_do_not_collide() -> None:
    request = post(b"{}")
    ids = [
        identify(request),
        identify(request, user="a"),
        identify(request, user="ab"),
        identify(request, user=""),
        identify(request, action=b"user:a"),
        identify(request, action=b""),
        identify(request, action=b"2"),
    ]
    assert len({identity.request_id for identity in ids}) == len(ids)


def test_a_key_takes_the_place_of_the_fingerprint() -> None:
    keyed = (*JSON_HEADERS, (b"idempotency-key", b"order-1"))
    one, other = identify(post(b"1", headers=keyed)), identify(post(b"2", headers=keyed))
    assert one.kind is other.kind is IdentityKind.KEY
    assert one.request_id == other.request_id
    assert one.fingerprint != other.fingerprint
    elsewhere = identify(post(b"1", headers=keyed, origin=replace(API, host="api.example.org")))
    assert elsewhere.request_id != one.request_id


@pytest.mark.parametrize("spelling", [b"abc-1", b'"abc-1"', b' "abc-1" ', b'"abc-1"; v=2'])
def test_a_bare_key_and_a_quoted_one_are_the_same(spelling: bytes) -> None:
    assert read_key([spelling], "Key") == b"abc-1"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([b"a", b"a"], "2 times"),
        ([b""], "empty"),
        ([b'""'], "empty"),
        ([b"x" * 256], "256 characters"),
        ([b"a b"], "visible ASCII"),
        ([b"caf\xc3\xa9"], "visible ASCII"),
        ([b'"abc'], "RFC 9651"),
        ([b'"caf\xe9"'], "RFC 9651"),
    ],
)
def test_keys_that_cannot_be_used(values: list[bytes], words: str) -> None:
    with pytest.raises(BadKey, match=words):
        read_key(values, "Key")


def test_no_key_is_no_error() -> None:
    assert read_key([], "Key") is None
    assert read_key([b"x" * 255], "Key") == b"x" * 255


@given(st.binary(min_size=32, max_size=32))
def test_what_is_shown_can_be_read_back(digest: bytes) -> None:
    shown = str(RequestId(digest))
    assert shown == "oid_" + base64.b32encode(digest).decode("ascii").rstrip("=").lower()
    assert RequestId.parse(shown) == RequestId(digest)


@pytest.mark.parametrize("text", ["", "oid_", "oid_abc", "abc", "oid_" + "a" * 51, "oid_" + "1" * 52])
def test_what_is_no_request_id(text: str) -> None:
    with pytest.raises(ValueError, match="request_id"):
        RequestId.parse(text)


def test_the_identity_is_the_same_in_every_process() -> None:
    # A change of this value orphans every receipt: it needs a new canonical version.
    pinned = "oid_6jtlgm7laekb4fgfkcr4eygomaqnhs4zxygnksyfocp43ppuqgaa"
    program = (
        "from onceproxy.core.identity import identify\n"
        "from onceproxy.core.messages import *\n"
        "print(identify(Request('POST', Origin('https', 'api.example.com', 443), b'/v1/charges?b=2&a=1',"
        " ((b'Content-Type', b'application/json'),), BytesBody(b'{\"b\": [1, 2.50], \"a\": null}')),"
        " user='run-42').request_id)"
    )
    for seed in ("0", "1"):
        out = subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        )
        assert out.stdout.strip() == pinned, out.stderr
