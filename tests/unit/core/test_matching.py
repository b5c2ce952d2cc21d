"""Conditions of routes, and which route a request gets."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from onceproxy.core.matching import Condition, HostGlob, Match, Reading
from onceproxy.core.messages import BytesBody, Origin, RawHeaders, Request
from onceproxy.core.routes import Route, RouteTable

JSON = (b"Content-Type", b"application/json; charset=utf-8")
FORM = (b"Content-Type", b"application/x-www-form-urlencoded")


def a_request(
    url: str = "https://api.x.com/v1/charges",
    method: str = "POST",
    headers: RawHeaders = (),
    body: bytes = b"",
) -> Request:
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, _, port = authority.partition(":")
    origin = Origin(scheme, host, int(port) if port else 443)
    return Request(method, origin, (slash + path).encode(), headers, BytesBody(body))


def met(match: Match, request: Request) -> bool:
    route = Route("a", match)
    return RouteTable(Route(), (route,)).find(request) is route


def of_hosts(*globs: str) -> Match:
    return Match(hosts=tuple(HostGlob.parse(glob) for glob in globs))


@pytest.mark.parametrize(
    ("match", "yes", "no"),
    [
        (of_hosts("*.x.com"), "https://api.x.com/", "https://x.com/"),
        (of_hosts("a.com", "b.com"), "https://b.com/", "https://c.com/"),
        (of_hosts("a.com:8443"), "https://a.com:8443/", "https://a.com/"),
        (of_hosts("a.com"), "https://a.com:8443/", "https://a.org/"),
        (Match(paths=("/v1/*/refund", "/v2/**")), "https://a.com/v1/x/refund?a=/", "https://a.com/v1/x"),
        (Match(query=(Condition("dry", (None,)),)), "https://a.com/?a=1", "https://a.com/?dry"),
        (Match(query=(Condition("a", ("x*",)),)), "https://a.com/?a=xy", "https://a.com/?a=xy&a=z"),
        (Match(query=(Condition("a", ("x y",)),)), "https://a.com/?%61=x+y", "https://a.com/?a=x"),
    ],
)
def test_the_url(match: Match, yes: str, no: str) -> None:
    assert met(match, a_request(yes))
    assert not met(match, a_request(no))


def test_methods() -> None:
    match = Match(methods=frozenset({"POST", "PUT"}))

    assert met(match, a_request(method="PUT"))
    assert not met(match, a_request(method="PATCH"))


def test_media_types() -> None:
    match = Match(media_types=("application/json", "*/*+json"))

    assert met(match, a_request(headers=(JSON,)))
    assert met(match, a_request(headers=((b"content-type", b"Application/Problem+JSON"),)))
    assert not met(match, a_request(headers=(FORM,)))
    assert not met(match, a_request())


@pytest.mark.parametrize(
    ("values", "lines", "fits"),
    [
        (("a*",), (b"abc",), True),
        (("a*", "b"), (b"b",), True),
        (("a*",), (), False),
        (("*",), (b"",), True),
        ((None,), (), True),
        ((None,), (b"a",), False),
        ((None, "a"), (), True),
        (("a",), (b"a", b"b"), False),
        (("a", "b"), (b"a", b"b"), True),
    ],
)
def test_headers_and_all_of_their_lines(values: tuple[str], lines: tuple[bytes], fits: bool) -> None:
    headers = tuple((b"X-kInd", line) for line in lines)

    assert met(Match(headers=(Condition("X-Kind", values),)), a_request(headers=headers)) is fits


@pytest.mark.parametrize(
    ("values", "document", "fits"),
    [
        (("tools/*",), {"a": "tools/call"}, True),
        ((1,), {"a": 1.0}, True),
        ((1,), {"a": True}, False),
        ((True,), {"a": 1}, False),
        ((True,), {"a": True}, True),
        (("1",), {"a": 1}, False),
        ((None,), {}, True),
        ((None,), {"a": None}, True),
        ((None,), {"a": 0}, False),
        (("x",), {"a": {"x": 1}}, False),
    ],
)
def test_json_members(values: tuple[Any], document: dict[str, Any], fits: bool) -> None:
    request = a_request(headers=(JSON,), body=json.dumps(document).encode())

    assert met(Match(json=(Condition("$.a", values),)), request) is fits


def test_all_that_a_path_selects_must_fit() -> None:
    match = Match(json=(Condition("$[*].method", ("tools/list",)),))

    assert met(match, a_request(body=b'[{"method": "tools/list"}]'))
    assert not met(match, a_request(body=b'[{"method": "tools/list"}, {"method": "tools/call"}]'))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": "x", "a": "x"}',
        b'\xff{"a": "x"}',
        b'{"a": "x", "b": NaN}',
        b"[" * 200_000,
        b'{"a": "x", "b": ' + b"9" * 10_000 + b"}",
    ],
)
def test_a_body_that_can_be_read_in_two_ways_or_none_fits_no_condition(body: bytes) -> None:
    assert not met(Match(json=(Condition("$.a", ("x",)),)), a_request(body=body))


def test_a_document_too_deep_for_the_path_fits_nothing() -> None:
    body = b'{"a":' * 900 + b"1" + b"}" * 900

    assert not met(Match(json=(Condition("$..b", ("x",)),)), a_request(body=body))


def test_form_fields() -> None:
    match = Match(form=(Condition("Action", ("Describe*", "List*")),))

    assert met(match, a_request(headers=(FORM,), body=b"Version=1&Action=DescribeInstances"))
    assert not met(match, a_request(headers=(FORM,), body=b"Action=RunInstances"))
    assert not met(match, a_request(headers=(FORM,), body=b"Action=DescribeX&Action=RunInstances"))
    assert not met(match, a_request(body=b"Action=DescribeInstances"))


def test_coded_bodies_are_decoded() -> None:
    zipped = a_request(headers=(JSON, (b"Content-Encoding", b"gzip")), body=gzip.compress(b'{"a": "x"}'))
    unknown = a_request(headers=(JSON, (b"Content-Encoding", b"secret")), body=b'{"a": "x"}')
    match = Match(json=(Condition("$.a", ("x",)),))

    assert met(match, zipped)
    assert not met(match, unknown)


def test_numbers_that_no_double_holds_are_told_apart() -> None:
    match = Match(json=(Condition("$.a", (12345678901234567890,)),))

    assert met(match, a_request(body=b'{"a": 12345678901234567890}'))
    assert not met(match, a_request(body=b'{"a": 12345678901234567891}'))


def test_the_first_that_matches_wins_whatever_is_narrower() -> None:
    wide, narrow = Route("wide", Match(paths=("/**",))), Route("narrow", Match(paths=("/v1/charges",)))
    default = Route()

    assert RouteTable(default, (wide, narrow)).find(a_request()) is wide
    assert RouteTable(default, (narrow, wide)).find(a_request()) is narrow
    assert RouteTable(default, (narrow,)).find(a_request("https://a.com/x")) is default


def test_the_body_is_asked_for_only_where_it_decides() -> None:
    on_body = Route("on-body", Match(paths=("/mcp",), json=(Condition("$.method", ("tools/call",)),)))
    same_path = Route("same-path", Match(paths=("/mcp",)))
    table = RouteTable(Route(), (on_body, same_path))
    call = a_request("https://a.com/mcp", body=b'{"method": "tools/call"}')
    other = a_request("https://a.com/mcp", body=b'{"method": "ping"}')

    assert table.find_by_head(a_request("https://a.com/x")) is table.default
    assert table.find_by_head(call) is None
    assert table.find(call) is on_body
    assert table.find(other) is same_path
    assert RouteTable(Route(), (same_path, on_body)).find_by_head(call) is same_path


def test_each_condition_tells_how_it_went_and_shows_no_values_of_the_request() -> None:
    match = Match(
        hosts=(HostGlob.parse("api.x.com"),),
        paths=("/v1/*",),
        methods=frozenset({"PUT"}),
        media_types=("application/json",),
        headers=(Condition("Authorization", ("Bearer x",)), Condition("X-A", (None,))),
        json=(Condition("$.a", (1, "b*")),),
    )
    request = a_request(headers=(JSON, (b"Authorization", b"Bearer secret")), body=b'{"a": "secret"}')
    checks = {check.what: check for check in match.checks(Reading(request))}

    assert {what: check.met for what, check in checks.items()} == {
        "host": True,
        "path": True,
        "method": False,
        "content type": True,
        "header Authorization": False,
        "header X-A": True,
        "json $.a": False,
    }
    assert checks["json $.a"].wanted == '1 or "b*"'
    assert checks["method"].found == "POST"
    assert "secret" not in repr(checks)
