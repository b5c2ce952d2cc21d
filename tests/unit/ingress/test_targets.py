"""Request targets: what is taken, and what is refused before anything is done."""

from __future__ import annotations

import pytest

from onceproxy.core.messages import Origin
from onceproxy.ingress.targets import (
    BadTarget,
    is_host_field,
    origin_form,
    parse_absolute,
    parse_authority,
    parse_mounts,
)


@pytest.mark.parametrize(
    ("target", "origin", "rest"),
    [
        (b"http://example.com", Origin("http", "example.com", 80), b"/"),
        (b"http://EXAMPLE.com:8080/a?b=%20", Origin("http", "example.com", 8080), b"/a?b=%20"),
        (b"https://example.com:443?x", Origin("https", "example.com", 443), b"/?x"),
        (b"http://[::1]:81/", Origin("http", "::1", 81), b"/"),
        (b"HTTP://my_host/", Origin("http", "my_host", 80), b"/"),
        (b"http://127.0.0.1/", Origin("http", "127.0.0.1", 80), b"/"),
        (b"http://xn--bcher-kva.example/", Origin("http", "xn--bcher-kva.example", 80), b"/"),
        (b"http://a/caf\xc3\xa9", Origin("http", "a", 80), b"/caf\xc3\xa9"),
    ],
)
def test_absolute_targets(target: bytes, origin: Origin, rest: bytes) -> None:
    assert parse_absolute(target) == (origin, rest)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (b"ftp://example.com/", "http://"),
        (b"example.com/", "http://"),
        (b"http://user:pw@example.com/", "user name"),
        (b"http://example.com/a#b", "fragment"),
        (b"http://example.com:0/", "no port"),
        (b"http://example.com:65536/", "no port"),
        (b"http://example.com:/", "needs a port"),
        (b"http://example.com:8x/", "valid host"),
        (b"http:///path", "valid host"),
        (b"http://exa mple.com/", "valid name"),
        (b"http://-a.com/", "valid name"),
        (b"http://a..b/", "valid name"),
        (b"http://caf\xc3\xa9.com/", "valid name"),
        (b"http://2130706433/", "IPv4"),
        (b"http://0177.0.0.1/", "IPv4"),
        (b"http://127.1/", "IPv4"),
        (b"http://0x7f000001/", "IPv4"),
        (b"http://[::1/", "valid host"),
        (b"http://[1.2.3.4]/", "IPv6"),
        (b"http://a/b c", "spaces"),
        (b"http://a/\x7f", "control"),
    ],
)
def test_targets_that_are_refused(target: bytes, words: str) -> None:
    with pytest.raises(BadTarget, match=words):
        parse_absolute(target)


@pytest.mark.parametrize(
    "authority", [b"example.com", b"example.com:", b"example.com:0", b"u@example.com:443"]
)
def test_connect_needs_a_port(authority: bytes) -> None:
    with pytest.raises(BadTarget):
        parse_authority(authority, "https", port_needed=True)


@pytest.mark.parametrize(
    "value", [b"a", b"A.b-c_d:80", b"127.0.0.1:8888", b"[::1]", b"[::1]:81", b"", b"a:", b"b%C3%BC.example"]
)
def test_what_a_host_header_can_say(value: bytes) -> None:
    assert is_host_field(value)


@pytest.mark.parametrize(
    "value",
    [b"a b", b"u@a", b"a/", b"a?x", b"a#x", b"a:b", b"a:1:2", b"a,b", b"[::1", b"::1", b"a\\b", b"\xff"],
)
def test_what_it_can_not(value: bytes) -> None:
    assert not is_host_field(value)


def test_origin_form() -> None:
    assert origin_form(b"?x") == b"/?x"
    with pytest.raises(BadTarget):
        origin_form(b"x")


def test_the_longest_mount_wins_at_a_path_boundary() -> None:
    mounts = parse_mounts({"/a": "https://one.example/v1/", "/a/b": "http://two.example:81"})

    def find(target: bytes) -> tuple[str, bytes] | None:
        for mount in mounts:
            if (rest := mount.resolve(target)) is not None:
                return str(mount.origin), rest
        return None

    assert find(b"/a/x?q=1") == ("https://one.example", b"/v1/x?q=1")
    assert find(b"/a") == ("https://one.example", b"/v1")
    assert find(b"/a?q") == ("https://one.example", b"/v1?q")
    assert find(b"/a/b") == ("http://two.example:81", b"/")
    assert find(b"/a/b/c") == ("http://two.example:81", b"/c")
    assert find(b"/ab") is None
