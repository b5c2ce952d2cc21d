"""Templates of URLs: what they take from a request, and when they can't."""

from __future__ import annotations

import pytest

from onceproxy.core.messages import BytesBody, Origin, Request
from onceproxy.core.templates import Asked, NotFilled, fill, parse_template

JSON = (
    b'{"reference": "A 1/\xc3\xa9", "n": 7, "x": 1.5, "list": ["a", "b"], "none": null, "yes": true, "o": {}}'
)


def asked(body: bytes = JSON, *, kind: bytes = b"application/json", **changes: object) -> Asked:
    request = Request(
        "POST",
        Origin("https", "api.example", 443),
        b"/orders?q=a%26b&twice=1&twice=2&empty=",
        ((b"Content-Type", kind), (b"X-Reference", b" r=1 "), (b"X-Two", b"1"), (b"x-two", b"2")),
        BytesBody(body),
    )
    return Asked(request, "oid_abc", **{"key": b"k/1", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "filled"),
    [
        ("/orders?reference={json:$.reference}", b"/orders?reference=A%201%2F%C3%A9"),
        ("/orders/{json:$.n}/{json:$.x}", b"/orders/7/1.5"),
        ("/o?a={json:$.list[0]}", b"/o?a=a"),
        ("/o?q={query:q}", b"/o?q=a%26b"),
        ("/o?h={header:x-reference}", b"/o?h=r%3D1"),
        ("/o/{key}", b"/o/k%2F1"),
        ("?metadata[id]={request_id}", b"/?metadata[id]=oid_abc"),
        ("", b"/"),
        ("/caf\u00e9/{key}", b"/caf%C3%A9/k%2F1"),
    ],
)
def test_places(target: str, filled: bytes) -> None:
    assert fill(parse_template(f"https://api.example.com{target}"), asked()) == filled


def test_a_form_field() -> None:
    form = asked(b"ref=a+b%2Fc&x=1", kind=b"application/x-www-form-urlencoded; charset=utf-8")

    assert fill(parse_template("http://h/{form:ref}"), form) == b"/a%20b%2Fc"


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("{json:$.missing}", r"needs \{json:\$.missing\}, and the request has none"),
        ("{json:$.list[*]}", "has 2"),
        ("{json:$.none}", "has none"),
        ("{json:$.yes}", "has none"),
        ("{json:$.o}", "has none"),
        ("{query:twice}", "has 2"),
        ("{query:empty}", "has none"),
        ("{header:x-two}", "has 2"),
        ("{header:absent}", "has none"),
        ("{form:ref}", "has none"),
    ],
)
def test_a_place_yields_one_value_that_is_not_empty(place: str, why: str) -> None:
    with pytest.raises(NotFilled, match=why):
        fill(parse_template(f"https://h/o?a={place}"), asked())


def test_an_action_without_a_key() -> None:
    with pytest.raises(NotFilled, match=r"needs \{key\}"):
        fill(parse_template("https://h/{key}"), asked(key=None))


@pytest.mark.parametrize(
    "body", [b"", b"<xml/>", b'{"a": "1", "a": "2"}', b'{"a": "\\ud800"}', b"[" * 100_000, b'{"a": ""}']
)
def test_a_body_that_says_it_is_json_and_names_nothing(body: bytes) -> None:
    with pytest.raises(NotFilled):
        fill(parse_template("https://h/{json:$.a}"), asked(body))


@pytest.mark.parametrize("value", [b"..", b".", b"a/../b", b"../admin"])
def test_a_value_does_not_climb_out_of_its_path(value: bytes) -> None:
    with pytest.raises(NotFilled, match="another path"):
        fill(parse_template("https://h/orders/{key}/state"), asked(key=value))

    assert fill(parse_template("https://h/orders?key={key}"), asked(key=b"..")) == b"/orders?key=.."


@pytest.mark.parametrize(
    "url",
    [
        "/orders",
        "ftp://h/x",
        "https://{header:Host}/x",
        "https://h{key}/x",
        "https://user:password@h/x",
        "https://h/x#y",
        "https://h/a b",
        "https://h/{unknown:x}",
        "https://h/{json}",
        "https://h/{key:x}",
        "https://h/{json:$.[}",
        "https://h/{key",
        "https://h/key}",
        "https://h:99999/x",
    ],
)
def test_what_is_no_template(url: str) -> None:
    with pytest.raises(ValueError):
        parse_template(url)
