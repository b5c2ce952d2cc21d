"""Single texts: database URLs, mounts, host globs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.config.model import Settings
from onceproxy.config.values import check_database, check_host_glob, check_mount_prefix, check_mount_url
from onceproxy.ingress.targets import parse_mounts


@pytest.mark.parametrize(
    "text",
    [
        "embedded",
        "postgres://h/n",
        "postgresql://user:p%40ss%2F@host:5432/name?sslmode=verify-full",
        "POSTGRES://h",
        "postgresql:///name?host=/run/postgresql",
        "postgresql://u@[::1]:5432/n",
        "postgres://u:p@h1:1,h2:2/n?target_session_attrs=read-write",
    ],
)
def test_databases(text: str) -> None:
    assert check_database(text) == text


@pytest.mark.parametrize(
    "text", ["", "Embedded", "postgres", "postgres:h", "postgres:/h", "sqlite:///x", "h:5432/n"]
)
def test_what_is_no_database(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it must be embedded or a URL"):
        check_database(text)


@pytest.mark.parametrize("password", ["a#b", "a/b", "a?b", "a@b"])
def test_a_password_that_would_make_another_url_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded"):
        check_database(f"postgresql://user:{password}@host/name")


@pytest.mark.parametrize(
    "text", ["a", "*", "*.x.com", "api-?.x.com", "_a.b", "127.0.0.1", "10.*", "::1", "xn--bcher-kva.example"]
)
def test_host_globs(text: str) -> None:
    assert check_host_glob(text) == text


def test_an_ipv6_address_is_taken_in_the_form_that_tunnels_have() -> None:
    assert check_host_glob("0:0:0:0:0:0:0:1") == "::1"


@pytest.mark.parametrize(
    "text", ["", "https://x.com", "x.com:443", "x.com/", "a b", "bücher.example", "[::1]", "[ab].com", "a,b"]
)
def test_what_is_no_host_glob(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it must be a host without scheme, port and path"):
        check_host_glob(text)


@pytest.mark.parametrize("text", ["/a", "/stripe/v1", "/A-b_c.d~e", "/..."])
def test_mount_prefixes(text: str) -> None:
    assert check_mount_prefix(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "/", "a", "/a/", "//a", "/a//b", "/a?b", "/a#b", "/a%20", "/a b", "/.", "/a/../b", "/ä", "/a\n"],
)
def test_what_is_no_mount_prefix(text: str) -> None:
    with pytest.raises(ValueError, match=r"^the prefix must start with a slash and not end with one"):
        check_mount_prefix(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://a",
        "https://api.stripe.com",
        "HTTPS://a/",
        "http://127.0.0.1:3000/hooks",
        "http://[::1]:1/x/",
        "http://a.:65535",
    ],
)
def test_mount_urls(text: str) -> None:
    assert check_mount_url(text) == text
    assert len(parse_mounts({"/a": text})) == 1


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("", "must be http"),
        ("a.com", "must be http"),
        ("ftp://a", "must be http"),
        ("http:/a", "must be http"),
        ("http:a", "must be http"),
        ("//a", "must be http"),
        ("http://", "must be http"),
        ("http:///x", "must be http"),
        ("http://a:0", "must be http"),
        ("http://a:", "must be http"),
        ("http://a:x", "the port from 1 to 65535"),
        ("http://a:65536", "the port from 1 to 65535"),
        ("http://[::1", "must be http"),
        ("http://[::1%25eth0]/", "must be http"),
        ("http://127.1", "must be http"),
        ("http://2130706433", "must be http"),
        ("http://0x7f000001", "must be http"),
        ("http://a b", "must be http"),
        ("http://a/b c", "must be http"),
        ("http://bücher.example", "xn--"),
        ("http://a_-/", "must be http"),
        ("http://a..b", "must be http"),
        ("http://u@a", "no user name or password"),
        ("http://u:p@a", "no user name or password"),
        ("http://@a", "no user name or password"),
        ("http://a?", "without query"),
        ("http://a/?b=c", "without query"),
        ("http://a/#", "without query"),
        ("http://a\n", "must be http"),
        ("http://a\\b", "must be http"),
        ("http://0[::1]", "must be http"),
        ("http://[::1]0", "must be http"),
    ],
)
def test_what_is_no_mount_url(text: str, right: str) -> None:
    with pytest.raises(ValueError, match=right):
        check_mount_url(text)


@given(
    st.sampled_from(["http://", "https://", "http:/"]),
    st.text("aZ0.-_:[]@/?#%\\ x\u00e4", max_size=12),
)
def test_the_ingress_takes_every_mount_that_is_allowed(scheme: str, rest: str) -> None:
    try:
        url = check_mount_url(scheme + rest)
    except ValueError:
        return
    assert len(parse_mounts({"/a": url})) == 1


@pytest.mark.parametrize(
    ("listen", "beyond"),
    [("127.0.0.1:1", False), ("localhost:1", False), ("0.0.0.0:1", True), ("[::]:1", True)],
)
def test_listening_beyond_loopback_is_known(listen: str, beyond: bool) -> None:
    assert Settings.model_validate({"listen": listen}).listens_beyond_loopback is beyond
