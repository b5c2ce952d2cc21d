"""Canonical forms of bodies: one for all spellings of a thing, different ones for different things."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from fuzz.effort import effort
from fuzz.spellings import NUMBERS, VALUES, spelled
from identity_requests import FORM, body_of, digest, post
from onceproxy.core.canonical import NotCanonical, canonical_escapes, pack, unpack
from onceproxy.core.codings import decode
from onceproxy.core.identity import BadKey, MissingKey, examine
from onceproxy.core.json_text import canonical_json, parse_json
from onceproxy.core.multipart import split_parts
from onceproxy.core.pairs import ordered, split_pairs
from onceproxy.core.rules import BodyForm, BodyRules, FingerprintRules, IdentityRules, Selection

CHANCES = st.integers(0, 2**32).map(random.Random)
KINDS = [
    b"application/json",
    b"application/vnd.api+json",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=b",
    b"multipart/mixed; boundary=b",
    b"application/graphql",
    b"text/plain",
    b"application/json; charset=utf-16",
    b"",
    b"\xff;;",
]
PIECES = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"\\u",
        b"d800",
        b"1",
        b"e",
        b"-",
        b".",
        b"null",
        b"a",
        b"=",
        b"&",
        b"%",
        b"%41",
        b"+",
        b"--b",
        b"\r\n",
        b"--b--",
        b"\n",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\0",
        b" ",
        b"[]",
        b"Content-Disposition: form-data; name=a",
        b'{"a":1}',
        b'{"query":"mutation{a}"}',
        b'{"jsonrpc":"2.0","method":"tools/call","id":1}',
    ]
)
SOUP = st.lists(PIECES | st.binary(max_size=4), max_size=14).map(b"".join)


@effort(150)
@given(VALUES, CHANCES)
def test_json_has_one_form_for_all_its_spellings(value: Any, chance: random.Random) -> None:
    one, other = spelled(value, chance).encode(), spelled(value, chance).encode()
    form = canonical_json(parse_json(one))

    assert canonical_json(parse_json(other)) == form
    assert canonical_json(parse_json(form)) == form
    assert _meant(form) == _meant(one)
    assert digest(post(one)) == digest(post(other))


@effort(150)
@given(VALUES, VALUES, CHANCES)
def test_json_has_different_forms_for_different_values(one: Any, other: Any, chance: random.Random) -> None:
    _differ_as_they_should(one, other, chance)


@effort(150)
@given(NUMBERS, NUMBERS, CHANCES)
def test_numbers_too(one: Any, other: Any, chance: random.Random) -> None:
    _differ_as_they_should(one, other, chance)


@effort(300)
@given(SOUP)
def test_what_is_no_json_is_refused_and_nothing_else_happens(data: bytes) -> None:
    try:
        form = canonical_json(parse_json(data))
    except NotCanonical:
        return
    assert canonical_json(parse_json(form)) == form
    assert _meant(form) == _meant(data)


@effort(150)
@given(st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=5)), max_size=6), CHANCES)
def test_forms_are_pairs_in_any_order(pairs: list[tuple[bytes, bytes]], chance: random.Random) -> None:
    assume(not any(b"[]" in name for name, _ in pairs))
    shuffled = chance.sample(pairs, len(pairs))

    assert _form(pairs, chance) == _form(shuffled, chance)


@effort(150)
@given(*[st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), max_size=3)] * 2, CHANCES)
def test_different_forms_stay_different(
    one: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]], chance: random.Random
) -> None:
    assume(not any(b"[]" in name for name, _ in one + other))

    assert (_form(one, chance) == _form(other, chance)) is (sorted(one) == sorted(other))


@effort(150)
@given(SOUP)
def test_the_form_of_pairs_is_its_own(data: bytes) -> None:
    once = b"&".join(ordered(split_pairs(data)))

    assert b"&".join(ordered(split_pairs(once))) == once
    assert canonical_escapes(canonical_escapes(data)) == canonical_escapes(data)


@effort(100)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c[]", "d"]), st.binary(max_size=6)), min_size=1, max_size=4
    ),
    st.sampled_from([b"x", b"----b", b"b1", b"--"]),
)
def test_a_multipart_is_its_parts_whatever_is_between_them(
    parts: list[tuple[str, bytes]], boundary: bytes
) -> None:
    assume(not any(boundary in content or b"b0b0" in content for _, content in parts))
    one, other = (_multipart(parts, used) for used in (b"b0b0", boundary))

    assert one == other
    assert _multipart([*parts, ("z", b"")], b"b0b0") != one
    assert _multipart([(parts[0][0], parts[0][1] + b"!"), *parts[1:]], b"b0b0") != one


@effort(300)
@given(
    SOUP, st.sampled_from(KINDS), st.sampled_from(list(BodyForm)), st.sampled_from([b"", b"gzip", b"br, x"])
)
def test_any_body_has_an_identity(data: bytes, kind: bytes, form: BodyForm, coding: bytes) -> None:
    members = Selection(exclude=("$.a", "$..b[0]")) if form is BodyForm.JSON else Selection()
    rules = IdentityRules(fingerprint=FingerprintRules(body=BodyRules(form, members)))
    request = post(data, ((b"Content-Type", kind), (b"Content-Encoding", coding)))
    try:
        first = examine(request, rules)
    except (BadKey, MissingKey):
        return
    assert examine(request, rules).identity == first.identity
    other = post(data + b"!", request.headers)
    if form is BodyForm.AUTO and kind in (b"text/plain", b""):
        assert examine(other, rules).identity != first.identity


@effort(200)
@given(SOUP, st.lists(st.sampled_from([b"gzip", b"deflate", b"br", b"zstd", b"x"]), max_size=4))
def test_codings_are_taken_off_or_refused(data: bytes, codings: list[bytes]) -> None:
    try:
        decode(data, codings)
    except NotCanonical:
        return


@effort(200)
@given(SOUP, st.sampled_from(KINDS))
def test_parts_are_read_or_refused(data: bytes, kind: bytes) -> None:
    try:
        parts = split_parts(kind, data)
    except NotCanonical:
        return
    assert sum(len(part.content) for part in parts) <= len(data)


@effort(150)
@given(st.lists(st.binary(max_size=6), max_size=5), SOUP)
def test_what_is_packed_is_unpacked(parts: list[bytes], soup: bytes) -> None:
    assert unpack(pack(parts)) == parts
    unpacked = unpack(soup)
    assert unpacked is None or pack(unpacked) == soup


def test_a_large_body_is_read_in_no_more_time_than_its_size_takes() -> None:
    """Bodies made to take quadratic time would not end within the test's timeout."""
    size = 1 << 20
    for kind, body in [
        (b"application/json", b"[" * size),
        (b"application/json", b'{"a":' * (size // 5)),
        (b"application/json", b"1" * size),
        (b"application/json", b"1e" + b"9" * size),
        (b"application/json", b'"' + b"\\u0041" * (size // 6) + b'"'),
        (b"application/x-www-form-urlencoded", b"%" * size),
        (b"application/x-www-form-urlencoded", b"a[]=&" * (size // 5)),
        (b"multipart/form-data; boundary=b", b"--b\r\n" * (size // 5)),
        (b"multipart/form-data; boundary=b", b"\r\n--" * (size // 4)),
        (b"multipart/form-data; " + b"boundary=" * 900, b""),
        (b"application/graphql", b"{a" * (size // 2)),
        (b"application/graphql", b"#" * size),
    ]:
        body_of(post(body, ((b"Content-Type", kind),)))


def _form(pairs: list[tuple[bytes, bytes]], chance: random.Random) -> bytes:
    text = b"&".join(b"%s=%s" % (_escaped(name, chance), _escaped(value, chance)) for name, value in pairs)
    return digest(post(b"&" + text, FORM))


def _escaped(text: bytes, chance: random.Random) -> bytes:
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
    return b"".join(
        b"%c" % one if one in plain and chance.random() < 0.7 else chance.choice([b"%%%02X", b"%%%02x"]) % one
        for one in text
    )


def _multipart(parts: list[tuple[str, bytes]], boundary: bytes) -> bytes:
    body = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (boundary, name.encode(), content)
        for name, content in parts
    )
    kind = b'multipart/form-data; boundary="%s"' % boundary
    return digest(post(body + b"--%s--\r\n" % boundary, ((b"Content-Type", kind),)))


def _differ_as_they_should(one: Any, other: Any, chance: random.Random) -> None:
    forms = [canonical_json(parse_json(spelled(value, chance).encode())) for value in (one, other)]

    assert (forms[0] == forms[1]) is (_exact(one) == _exact(other))


def _meant(data: bytes) -> Any:
    return json.loads(data, parse_int=Decimal, parse_float=Decimal)


def _exact(value: Any) -> Any:
    """Return a value that equals another exactly if JSON means the same by both."""
    if isinstance(value, bool) or value is None:
        return ("word", value)
    if isinstance(value, int | float):
        return ("number", *value.as_integer_ratio())
    if isinstance(value, str):
        return ("text", value)
    if isinstance(value, list):
        return ("list", tuple(map(_exact, value)))
    return ("object", frozenset((name, _exact(one)) for name, one in value.items()))
