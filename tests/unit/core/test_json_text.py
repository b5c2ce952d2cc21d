"""JSON in canonical form: what RFC 8785 publishes, what other implementations say, and where we go beyond."""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from typing import Any

import jcs
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.canonical import MAX_VALUES, NotCanonical
from onceproxy.core.json_text import MAX_DEPTH, canonical_json, number_text, parse_json

numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
documents = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def form_of(text: str | bytes) -> bytes:
    return canonical_json(parse_json(text if isinstance(text, bytes) else text.encode()))


@pytest.mark.parametrize(
    ("text", "form"),
    [
        # RFC 8785 §3.2.2, but for 333333333.33333329: that one no double holds.
        (
            r"""{
                "numbers": [1E30, 4.50, 2e-3, 0.000000000000000000000000001],
                "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
                "literals": [null, true, false]
            }""",
            '{"literals":[null,true,false],"numbers":[1e+30,4.5,0.002,1e-27],'
            r""""string":"€$\u000f\nA'B\"\\\\\"/"}""",
        ),
        # RFC 8785 §3.2.3, and the vectors published with it.
        (
            r"""{
                "\u20ac": "Euro Sign", "\r": "Carriage Return", "\u000a": "Newline", "1": "One",
                "\u0080": "Control\u007f", "\ud83d\ude02": "Smiley",
                "\u00f6": "Latin Small Letter O With Diaeresis",
                "\ufb33": "Hebrew Letter Dalet With Dagesh", "</script>": "Browser Challenge"
            }""",
            r'{"\n":"Newline","\r":"Carriage Return","1":"One","</script>":"Browser Challenge",'
            '"\u0080":"Control\u007f","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign",'
            '"\U0001f602":"Smiley","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
        ),
        ('[ 56, { "d": true, "10": null, "1": [ ] } ]', '[56,{"1":[],"10":null,"d":true}]'),
        (
            '{"1": {"f": {"f": "hi","F": 5} ,"\\n": 56.0}, "10": { }, "": "empty", "a": { },'
            '"111": [ {"e": "yes","E": "no" } ], "A": { } }',
            '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}',
        ),
        ('{"Unnormalized Unicode":"A\\u030a"}', '{"Unnormalized Unicode":"A\u030a"}'),
        ('{"sin": 1, "pêche": 2, "péché": 3, "peach": 4}', '{"peach":4,"péché":3,"pêche":2,"sin":1}'),
    ],
)
def test_the_published_vectors(text: str, form: str) -> None:
    assert form_of(text).decode() == form


@pytest.mark.parametrize(
    ("bits", "text"),
    [  # RFC 8785 appendix B
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_the_published_numbers(bits: str, text: str) -> None:
    assert number_text(struct.unpack(">d", bytes.fromhex(bits))[0]) == text
    assert form_of(text) == text.encode()


@given(documents)
def test_two_other_implementations_agree(document: Any) -> None:
    text = json.dumps(document)
    assert form_of(text) == rfc8785.dumps(document)
    assert form_of(text) == jcs.canonicalize(document)


@given(documents)
def test_the_form_of_a_form_is_itself(document: Any) -> None:
    form = form_of(json.dumps(document))
    assert form_of(form) == form


@given(st.decimals(min_value=-(10**6), max_value=10**6, places=6))
def test_a_short_decimal_keeps_all_its_digits(number: Decimal) -> None:
    assert Decimal(form_of(str(number)).decode()) == number


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False), min_size=2, max_size=2))
def test_two_numbers_have_one_form_exactly_if_they_are_equal(pair: list[Decimal]) -> None:
    one, other = (str(number) for number in pair)
    assert (form_of(one) == form_of(other)) is (pair[0] == pair[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12345678901234567890", "12345678901234567891"),
        ("9007199254740992", "9007199254740993"),
        ("0.12345678901234567890", "0.12345678901234567891"),
        ("1e400", "1e401"),
        ("1e-400", "0"),
        ("-1e400", "1e400"),
    ],
)
def test_numbers_that_a_double_would_conflate(one: str, other: str) -> None:
    assert form_of(one) != form_of(other)


@pytest.mark.parametrize(
    "spellings",
    [
        ["100000000000000000000", "1e20", "1E+20", "100000000000000000000.00"],
        ["12345678901234567890", "12345678901234567890.0", "1234567890123456789e1"],
        ["0", "-0", "0.0", "0e999", "-0e-7"],
        ["1e400", "10e399", "1.000e+400"],
    ],
)
def test_spellings_of_one_number(spellings: list[str]) -> None:
    assert len({form_of(text) for text in spellings}) == 1


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "\\u0062": 2}}',
        b"NaN",
        b"[Infinity]",
        b'"\\ud800"',
        b'{"\\udc00": 1}',
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        b"",
        b"{} {}",
        b'"a\nb"',
        b"01",
        b"1" * 1001,
        b"1e-9999999999999999999",
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" + b"1," * MAX_VALUES + b"1]",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_what_has_no_safe_form(text: bytes) -> None:
    with pytest.raises(NotCanonical):
        form_of(text)


def test_the_depth_that_is_allowed_does_not_depend_on_the_stack() -> None:
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH

    def below(frames: int) -> bytes:
        return form_of(deep) if frames == 0 else below(frames - 1)

    assert below(0) == below(400) == deep


def test_members_can_be_left_out() -> None:
    document = parse_json(b'{"a": [1, 2, 3], "b": {"c": 4, "d": 5}}')
    without: set[tuple[int, str | int]] = {
        (id(document["a"]), 1),
        (id(document["b"]), "c"),
        (id(document), "z"),
    }
    assert canonical_json(document, without) == b'{"a":[1,3],"b":{"d":5}}'
