"""What others wrote, for people: no secret, no control, and never more than fits."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.admin.page.hiding import hidden_in_json, hidden_in_text
from onceproxy.admin.page.shown import body, headers, line

JSON = ((b"Content-Type", b"application/json"),)
SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "%s", "a": 1}',
        '{"a": {"api_key": {"b": ["%s"]}}}',
        '{"client_secret": ["%s", "%s"], "b": 2}',
        '{"pass\\u0077ord": "%s"}',
        '{"a": 1, "password": "%s',  # cut in the middle
        '{"password": "x", "password": "%s"}',  # parsers differ on which counts
        '{"a": "{\\"password\\": \\"%s\\"}"}',  # JSON in JSON
        '{"a": "x" y".z, "password": "%s"}',  # quotes that do not pair
        '[{"token": "%s"}',
        '{"authorization": %s}',
    ],
)
def test_members_with_the_name_of_a_secret_are_hidden(text: str) -> None:
    assert SECRET not in hidden_in_json(text.replace("%s", SECRET))
    assert SECRET not in body(text.replace("%s", SECRET).encode(), JSON).text


@pytest.mark.parametrize(
    "text",
    [
        f"a=1&password={SECRET}&b=2",
        f'event: x\ndata: {{"password": "{SECRET}"}}\n\n',
        f"<p>token={SECRET}</p>",
        "sk_live_" + SECRET,
    ],
)
def test_secrets_are_hidden_in_other_texts(text: str) -> None:
    assert SECRET not in hidden_in_text(text)


def test_json_is_laid_out_and_its_numbers_stay_as_they_are() -> None:
    text = '{"a":1.50,"b":[],"c":[1,{"d":null}],"e":12345678901234567890}'

    shown = body(text.encode(), JSON)

    assert shown.text == (
        '{\n  "a": 1.50,\n  "b": [],\n  "c": [\n    1,\n    {\n      "d": null\n    }\n  ],\n'
        '  "e": 12345678901234567890\n}'
    )
    assert json.loads(shown.text) == json.loads(text)


_TEXTS = st.text(st.characters(exclude_characters="="))  # it makes a pair, whose name may be of a secret
_VALUES = st.recursive(
    st.none() | st.integers() | _TEXTS, lambda inner: st.lists(inner) | st.dictionaries(st.just("a"), inner)
)


@given(_VALUES)
def test_what_is_laid_out_means_the_same(value: object) -> None:
    assert json.loads(hidden_in_json(json.dumps([value]))) == [value]


def test_control_characters_and_reversed_text_are_seen() -> None:
    shown = body("a\x1b[31m \u202e \x9b\tb\r\nc".encode(), ())

    assert shown.text == "a\\x1b[31m \\u202e \\x9b\tb\nc"
    assert line("a\nb\x00") == "a\\nb\\x00"


def test_what_is_long_is_cut() -> None:
    assert line("x" * 5000, 100) == "x" * 99 + "…"
    shown = body(b"y" * 100_000, ())
    assert len(shown.text) == 16_000
    assert "Only its beginning is shown." in shown.remark


def test_what_is_no_text_is_shown_as_bytes() -> None:
    shown = body(b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ((b"Content-Type", b"image/png"),))

    assert shown.text.startswith("0000  89 50 4e 47 0d 0a 1a 0a 00 01")
    assert shown.text.count("\n") == 15


def test_codings_are_taken_off() -> None:
    coded = ((b"Content-Encoding", b"gzip"), *JSON)

    assert body(gzip.compress(b'{"a":1}'), coded).text == '{\n  "a": 1\n}'
    assert "can’t be read" in body(b"no gzip", coded).remark


def test_a_coding_that_blows_up_is_cut() -> None:
    shown = body(gzip.compress(b"z" * 5_000_000), ((b"Content-Encoding", b"gzip"),))

    assert len(shown.text) == 16_000


def test_a_text_that_was_cut_in_a_character_is_text() -> None:
    assert body("äöü".encode()[:-1], ()).text == "äö"
    assert body(b"\xe4", ((b"Content-Type", b"text/plain"),)).text == "ä"


def test_values_of_headers_that_are_secret_are_hidden() -> None:
    lines = (
        (b"X-Api-Key", b"s"),
        (b"Set-Cookie", b"s"),
        (b"Server", b"\x9b<b>"),
        (b"Location", b"/?token=abc&x=1"),
    )

    assert headers(lines) == [
        ("X-Api-Key", "***"),
        ("Set-Cookie", "***"),
        ("Server", "\\x9b<b>"),
        ("Location", "/?token=***&x=1"),
    ]
    assert headers(((b"A", b"b"),) * 150)[-1] == ("…", "50 more")
