"""Where to listen."""

from __future__ import annotations

import pytest

from onceproxy.config.address import Address


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:8888", "127.0.0.1", 8888, True),
        ("127.9.9.9:1", "127.9.9.9", 1, True),
        ("localhost:0", "localhost", 0, True),
        ("LOCALHOST:1", "LOCALHOST", 1, True),
        ("[::1]:8888", "::1", 8888, True),
        ("[::ffff:127.0.0.1]:8888", "::ffff:127.0.0.1", 8888, True),
        ("[::]:8888", "::", 8888, False),
        ("[::ffff:10.0.0.1]:8888", "::ffff:10.0.0.1", 8888, False),
        ("[fe80::1%eth0]:8888", "fe80::1%eth0", 8888, False),
        ("0.0.0.0:65535", "0.0.0.0", 65535, False),
        ("proxy.internal:8888", "proxy.internal", 8888, False),
        ("127.0.0.1.evil.example:1", "127.0.0.1.evil.example", 1, False),
    ],
)
def test_addresses(text: str, host: str, port: int, loopback: bool) -> None:
    address = Address.parse(text)

    assert (address.host, address.port, address.is_loopback, str(address)) == (host, port, loopback, text)
    assert Address.parse(address) is address


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (8888, "HOST:PORT"),
        ("8888", "HOST:PORT"),
        (":8888", "HOST:PORT"),
        ("*:8888", "HOST:PORT"),
        ("127.0.0.1", "HOST:PORT"),
        ("::1:8888", "HOST:PORT"),
        ("http://127.0.0.1:8888", "HOST:PORT"),
        ("127.0.0.1:８", "HOST:PORT"),
        ("127.0.0.1:8888\n", "HOST:PORT"),
        ("", "HOST:PORT"),
        (None, "HOST:PORT"),
        ("127.0.0.1:65536", "0 \\(a free one\\) to 65535"),
        ("[1:2]:8888", "IPv6"),
        ("[127.0.0.1]:8888", "IPv6"),
        ("127.0.0.256:8888", "four numbers up to 255"),
        ("127.1:8888", "four numbers up to 255"),
    ],
)
def test_what_is_no_address(text: object, right: str) -> None:
    with pytest.raises(ValueError, match=right):
        Address.parse(text)
