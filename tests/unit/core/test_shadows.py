"""Routes that no request can reach."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.matching import Condition, HostGlob, Match
from onceproxy.core.messages import BytesBody, Origin, Request
from onceproxy.core.routes import Route, RouteTable
from onceproxy.core.shadows import shadows, takes_all


def of(**conditions: Any) -> Match:
    hosts = tuple(HostGlob.parse(host) for host in conditions.pop("hosts", ()))
    return Match(hosts=hosts, **conditions)


POST = frozenset({"POST"})


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (of(paths=("/**",)), of(hosts=("a.com",))),
        (of(hosts=("*.a.com",)), of(hosts=("b.a.com",), paths=("/x",), methods=POST)),
        (of(hosts=("a.com",)), of(hosts=("a.com:80",))),
        (of(hosts=("a.com", "b.com")), of(hosts=("b.com", "a.com"))),
        (of(paths=("/a", "/b/**")), of(paths=("/b/c", "/a"))),
        (of(methods=POST | {"PUT"}), of(methods=POST)),
        (of(media_types=("a/b", "c/d")), of(media_types=("a/b",))),
        (of(json=(Condition("$.a", (1, 2)),)), of(json=(Condition("$.a", (2,)),), methods=POST)),
    ],
)
def test_what_takes_all(wide: Match, narrow: Match) -> None:
    assert takes_all(wide, narrow)
    assert takes_all(wide, wide)
    assert not takes_all(narrow, wide) or set(wide.hosts) == set(narrow.hosts)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (of(methods=POST), of(paths=("/x",))),
        (of(hosts=("a.com:80",)), of(hosts=("a.com",))),
        (of(hosts=("a.com",)), of(paths=("/x",))),
        (of(paths=("/a",)), of(paths=("/a", "/b"))),
        (of(headers=(Condition("A", ("x",)),)), of(headers=(Condition("B", ("x",)),))),
        (of(json=(Condition("$.a", (1,)),)), of(json=(Condition("$.a", (True,)),))),
        (of(json=(Condition("$.a", (1,)),)), of(paths=("/x",))),
    ],
)
def test_what_leaves_some(wide: Match, narrow: Match) -> None:
    assert not takes_all(wide, narrow)


def test_each_is_told_with_the_first_that_takes_its_requests() -> None:
    wide, wider, narrow = (
        Route("wide", of(paths=("/v1/**",))),
        Route("wider", of(paths=("/**",))),
        Route("narrow", of(paths=("/v1/x",))),
    )

    assert list(shadows((wide, wider, narrow))) == [(narrow, wide)]
    assert list(shadows((narrow, wide, wider))) == []


_HOSTS = st.sampled_from(["a.com", "*.com", "**", "a.com:80", "b.*"])
_PATHS = st.sampled_from(["/a", "/*", "/**", "/a/*", "/a/**"])
_MATCHES = st.builds(
    Match,
    hosts=st.lists(_HOSTS.map(HostGlob.parse), max_size=2).map(tuple),
    paths=st.lists(_PATHS, max_size=2).map(tuple),
    methods=st.frozensets(st.sampled_from(["POST", "PUT"])),
    query=st.lists(
        st.builds(Condition, st.sampled_from("xy"), st.sampled_from([("1",), ("1", None)])), max_size=1
    ).map(tuple),
    json=st.lists(
        st.builds(Condition, st.just("$.k"), st.sampled_from([(1,), (True,), (1, "a*")])), max_size=1
    ).map(tuple),
)
_REQUESTS = st.builds(
    Request,
    st.sampled_from(["POST", "PUT"]),
    st.builds(
        Origin, st.just("http"), st.sampled_from(["a.com", "b.com", "b.org"]), st.sampled_from([80, 81])
    ),
    st.sampled_from([b"/a", b"/a/b", b"/", b"/a?x=1", b"/a/b?x=2&y=1"]),
    st.just(()),
    st.sampled_from([b"", b'{"k": 1}', b'{"k": true}', b'{"k": "ab"}']).map(BytesBody),
)


@given(_MATCHES, _MATCHES, _REQUESTS)
def test_a_route_that_is_said_to_be_unreachable_gets_no_request(
    first: Match, second: Match, request: Request
) -> None:
    table = RouteTable(Route(), (Route("first", first), Route("second", second)))
    if list(shadows(table.routes)):
        assert table.find(request).name != "second"
