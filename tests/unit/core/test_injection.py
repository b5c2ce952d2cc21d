"""Our key put into a request: where it is safe, with every other byte as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_requests import JSON, post, with_headers
from onceproxy.core.contents import Content
from onceproxy.core.identity import examine
from onceproxy.core.injection import member_names, with_key
from onceproxy.core.receipts import RequestId
from onceproxy.core.rules import IdentityRules, InjectAs, Place, Source

HEADER = Source(Place.HEADER, "Idempotency-Key")
MEMBER = Source(Place.JSON, "$.key")


def injected(body: bytes, path: str = "$.key") -> bytes | None:
    request = post(body)
    made = with_key(request, Content(request), Source(Place.JSON, path), "K")
    return None if made is None else made.body.read()


@pytest.mark.parametrize(
    ("path", "body", "made"),
    [
        ("$.key", b'{"a": 1.50, "b": "\\u00e9"}', b'{"key":"K","a": 1.50, "b": "\\u00e9"}'),
        ("$.key", b" {\r\n} ", b' {"key":"K"\r\n} '),
        ("$.key", b'{"key": null, "n": 12345678901234567890}', b'{"key": "K", "n": 12345678901234567890}'),
        (
            "$['a']['k e']",
            b'{"x": {"a": {}}, "a": {"b": [{}]}}',
            b'{"x": {"a": {}}, "a": {"k e":"K","b": [{}]}}',
        ),
        ("$.a.b", b'{"a":\t{ "x" : "}" , "b" : null }}', b'{"a":\t{ "x" : "}" , "b" : "K" }}'),
        ("$.key", '{"é": "☃"}'.encode(), '{"key":"K","é": "☃"}'.encode()),
    ],
)
def test_the_member_is_put_in_as_text(path: str, body: bytes, made: bytes) -> None:
    assert injected(body, path) == made


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("$.key", b'{"key": "client"}'),
        ("$.key", b'{"key": 0}'),
        ("$.key", b"[1]"),
        ("$.key", b'"text"'),
        ("$.key", b""),
        ("$.key", b"not json"),
        ("$.key", b'{"a": 1, "a": 2}'),
        ("$.a.key", b'{"b": {}}'),
        ("$.a.key", b'{"a": []}'),
        ("$.a.key", b'{"a": "{}"}'),
        ("$.a[0].key", b'{"a": [{}]}'),
        ("$..key", b"{}"),
        ("$[?@.key]", b"{}"),
    ],
)
def test_where_it_can_not_go(path: str, body: bytes) -> None:
    assert injected(body, path) is None


@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.none() | st.text())), st.integers(0, 4)
)
def test_the_document_is_the_same_but_for_the_member(document: dict[str, object], indent: int) -> None:
    document.pop("key", None)
    body = json.dumps(document, indent=indent or None).encode()
    made = injected(body)
    assert made is not None
    assert json.loads(made) == {"key": "K", **document}
    at = made.index(b'"key":"K"')
    assert made[:at] + made[at + len(b'"key":"K"') + bool(document) :] == body


def test_a_coded_body_is_left_alone() -> None:
    request = with_headers(post(b"{}"), (b"Content-Encoding", b"identity, gzip"))
    assert with_key(request, Content(request), MEMBER, "K") is None


def test_a_header_is_added_only_where_there_is_none() -> None:
    request = post()
    made = with_key(request, Content(request), HEADER, "K")
    assert made is not None
    assert made.headers == (*JSON, (b"Idempotency-Key", b"K"))
    twice = with_headers(request, (b"idempotency-key", b""))
    assert with_key(twice, Content(twice), HEADER, "K") is None


def test_names_on_the_way() -> None:
    assert member_names("$.a['b.c']") == ["a", "b.c"]
    assert [member_names(path) for path in ("$", "$.a[0]", "$..a", "$.*", "$['a','b']")] == [None] * 5


@pytest.mark.parametrize(("form", "length"), [(InjectAs.REQUEST_ID, 56), (InjectAs.UUID, 36)])
def test_the_same_key_for_each_copy_and_none_where_the_client_has_its_own(
    form: InjectAs, length: int
) -> None:
    rules = IdentityRules(inject_key=HEADER, inject_as=form)
    one, other = examine(post(b'{"a":1}'), rules), examine(post(b'{ "a": 1 }'), rules)
    assert one.outgoing.headers == other.outgoing.headers
    assert len(one.outgoing.headers[-1][1]) == length
    assert one.keyed
    assert one.identity == examine(post(b'{"a":1}')).identity  # what we put in is not part of what is asked
    with_own = with_headers(post(), (b"Idempotency-Key", b"own"))
    assert examine(with_own, rules).outgoing is with_own
    assert not examine(post()).keyed


@given(st.binary(min_size=32, max_size=32))
def test_a_uuid_is_one_of_version_8(digest: bytes) -> None:
    uuid = RequestId(digest).uuid
    assert (uuid.version, uuid.variant) == (8, "specified in RFC 4122")


def test_where_keys_must_be_quoted_ours_is() -> None:
    quoted = examine(post(), IdentityRules(inject_key=HEADER, strict=True)).outgoing.headers[-1][1]
    bare = examine(post(), IdentityRules(inject_key=HEADER)).outgoing.headers[-1][1]
    assert quoted == b'"%s"' % bare
    member = examine(post(b"{}"), IdentityRules(inject_key=MEMBER, strict=True)).outgoing.body.read()
    assert member.startswith(b'{"key":"oid_')
