"""Globs of hosts and paths: what they match, and the index over very many of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.globs import Index, Text, covers, host_tokens, path_tokens, tokens_match


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("/v1/charges", "/v1/charges", True),
        ("/v1/charges", "/v1/charges/", False),
        ("/v1/charges", "/v1/Charges", False),
        ("/v1/charges", "/v1/%63harges", True),
        ("/v1/a%2db", "/v1/a-b", True),
        ("/v1/charges", "/v1%2Fcharges", False),
        ("/v1/*/refund", "/v1/ch_1/refund", True),
        ("/v1/*/refund", "/v1/refund", False),
        ("/v1/*/refund", "/v1//refund", False),
        ("/v1/*/refund", "/v1/a/b/refund", False),
        ("/v*/x", "/v2/x", True),
        ("/v*/x", "/v/x", True),
        ("/v*-*/x", "/v2-b/x", True),
        ("/v*-*/x", "/v2/x", False),
        ("/v1/**", "/v1", True),
        ("/v1/**", "/v1/", True),
        ("/v1/**", "/v1/a/b", True),
        ("/v1/**", "/v10", False),
        ("/**", "/", True),
        ("/**/refund", "/refund", True),
        ("/**/refund", "/a/b/refund", True),
        ("/**/refund", "/a/refund/b", False),
        ("/a/**/b/**/c", "/a/x/b/y/b/c", True),
        ("/a/**/b/**/c", "/a/x/y/c", False),
        ("/", "/", True),
        ("/*", "/", False),
    ],
)
def test_paths(glob: str, path: str, matches: bool) -> None:
    assert tokens_match(path_tokens(glob.encode()), path_tokens(path.encode())) is matches


@pytest.mark.parametrize(
    ("glob", "host", "matches"),
    [
        ("api.x.com", "api.x.com", True),
        ("API.x.com", "api.x.com", True),
        ("api.x.com", "api.x.com.", True),
        ("api.x.com", "xapi.x.com", False),
        ("*.x.com", "a.x.com", True),
        ("*.x.com", "x.com", False),
        ("*.x.com", "a.b.x.com", False),
        ("**.x.com", "a.b.x.com", True),
        ("**.x.com", "x.com", True),
        ("**.x.com", "evilx.com", False),
        ("*.x.com", "a.x.com.evil.org", False),
        ("s3.*.amazonaws.com", "s3.eu-west-1.amazonaws.com", True),
        ("api-*.x.com", "api-eu.x.com", True),
        ("api-*.x.com", "api.x.com", False),
        ("10.*.0.1", "10.7.0.1", True),
        ("::1", "::1", True),
    ],
)
def test_hosts(glob: str, host: str, matches: bool) -> None:
    assert tokens_match(host_tokens(glob), host_tokens(host)) is matches


@pytest.mark.parametrize(
    ("glob", "text", "matches"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("*", "", True),
        ("a*", "a", True),
        ("*a", "ba", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*bc*c", "abc", False),
        ("DynamoDB_*.Get*", "DynamoDB_20120810.GetItem", True),
        ("a.c", "abc", False),
    ],
)
def test_texts(glob: str, text: str, matches: bool) -> None:
    assert Text(glob).matches(text) is matches


def test_a_glob_of_many_stars_does_not_explode() -> None:
    assert not Text("*a" * 200 + "b").matches("a" * 20_000)
    many = Index[int]()
    many.add(("**",) * 40, ("**", "x") * 40, 1)
    assert set(many.find(("h",) * 60, ("x",) * 60)) == {1}


_PARTS = st.lists(st.sampled_from(["a", "b", "ab", "*", "a*", "**"]), min_size=1, max_size=4)
_TOKENS = st.lists(st.sampled_from(["a", "b", "ab", "abb"]), min_size=1, max_size=5)


def _slow(pattern: list[str], tokens: list[str]) -> bool:
    if not pattern:
        return not tokens
    if pattern[0] == "**":
        return any(_slow(pattern[1:], tokens[at:]) for at in range(len(tokens) + 1))
    if not tokens:
        return False
    first = tokens[0]
    fits = {"*": True, "a*": first.startswith("a")}.get(pattern[0], pattern[0] == first)
    return fits and _slow(pattern[1:], tokens[1:])


@given(st.lists(st.tuples(_PARTS, _PARTS), max_size=12), _TOKENS, _TOKENS)
def test_the_index_finds_what_trying_all_would_find(
    globs: list[tuple[list[str], list[str]]], host: list[str], path: list[str]
) -> None:
    index = Index[int]()
    for number, (one, other) in enumerate(globs):
        index.add(tuple(one), tuple(other), number)

    expected = {n for n, (one, other) in enumerate(globs) if _slow(one, host) and _slow(other, path)}
    assert set(index.find(tuple(host), tuple(path))) == expected


@given(_PARTS, _PARTS, _TOKENS)
def test_what_covers_another_matches_all_that_it_matches(
    wide: list[str], narrow: list[str], tokens: list[str]
) -> None:
    if covers(tuple(wide), tuple(narrow)) and _slow(narrow, tokens):
        assert _slow(wide, tokens)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("/**", "/v1/charges"),
        ("/**", "/v1/**"),
        ("/v1/**", "/v1/*/refund"),
        ("/v1/*", "/v1/charges"),
        ("/v1/*", "/v1/c*"),
        ("/v1/c*", "/v1/charges"),
        ("/v1/x", "/v1/x"),
    ],
)
def test_what_surely_covers(wide: str, narrow: str) -> None:
    assert covers(path_tokens(wide.encode()), path_tokens(narrow.encode()))
    assert wide == narrow or not covers(path_tokens(narrow.encode()), path_tokens(wide.encode()))
