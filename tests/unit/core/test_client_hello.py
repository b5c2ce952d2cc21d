"""ClientHellos: OpenSSL's own, in any pieces, and whatever else begins like one."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.client_hello import (
    LARGEST,
    ClientHello,
    HelloRefusal,
    MalformedHello,
    read_client_hello,
    refusal,
)


def hello_of(name: str | None = "shop.example", *alpn: str, newest: ssl.TLSVersion | None = None) -> bytes:
    """What OpenSSL says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if newest is not None:
        context.maximum_version = newest
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


HELLO = hello_of("shop.example", "h2", "http/1.1")


def made(extensions: bytes = b"", version: bytes = b"\3\3") -> bytes:
    """A hello with these extensions, in one record."""
    body = version + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0"
    if extensions:
        body += len(extensions).to_bytes(2, "big") + extensions
    return record(b"\1" + len(body).to_bytes(3, "big") + body)


def record(data: bytes) -> bytes:
    return b"\x16\3\1" + len(data).to_bytes(2, "big") + data


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


ECH = extension(0xFE0D, b"\0" * 8)


@pytest.mark.parametrize(
    ("data", "hello"),
    [
        (HELLO, ClientHello("shop.example", (b"h2", b"http/1.1"), 0x0304, False)),
        (hello_of(None), ClientHello(None, (), 0x0304, False)),
        (hello_of(newest=ssl.TLSVersion.TLSv1_2), ClientHello("shop.example", (), 0x0303, False)),
        (made(), ClientHello(None, (), 0x0303, False)),
        (made(version=b"\3\1"), ClientHello(None, (), 0x0301, False)),
        (made(ECH), ClientHello(None, (), 0x0303, True)),
        (made(extension(43, b"\4\x7a\x7a\3\4")), ClientHello(None, (), 0x0304, False)),
        (made(extension(43, b"\2\x7a\x7a")), ClientHello(None, (), 0, False)),
    ],
)
def test_what_is_read(data: bytes, hello: ClientHello) -> None:
    assert read_client_hello(data) == hello


def test_every_beginning_of_a_hello_waits_for_more() -> None:
    for end in range(len(HELLO)):
        assert read_client_hello(HELLO[:end]) is None
    assert read_client_hello(HELLO + b"what comes behind") is not None


@given(st.lists(st.integers(1, 200), min_size=1, max_size=8))
def test_it_may_come_in_several_records(sizes: list[int]) -> None:
    message, records = HELLO[5:], b""
    for size in sizes:
        records += record(message[:size]) if message[:size] else b""
        message = message[size:]
    records += record(message) if message else b""

    assert read_client_hello(records) == read_client_hello(HELLO)


@given(st.binary(max_size=200))
def test_nothing_that_begins_like_it_breaks_the_reader(data: bytes) -> None:
    for start in (b"\x16", b"\x16\3\1", b"\x16\3\1\0\x40\1\0\0\x3c", made()[:48]):
        with suppress(MalformedHello):
            read_client_hello(start + data)


@given(st.integers(0, len(HELLO) - 1), st.integers(0, 255))
def test_a_byte_that_is_wrong_breaks_nothing(at: int, byte: int) -> None:
    with suppress(MalformedHello):
        read_client_hello(HELLO[:at] + bytes([byte]) + HELLO[at + 1 :])


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\2\0",
        record(b"\2\0\0\1\0"),  # a ServerHello
        b"\x16\3\1\0\0",  # an empty record
        record(b"\1\0\xff\xff")[:-1] + b"\xff",
        record(b"\1\xff\xff\xff"),  # too large
        record(b"\1\0\0\2\3\3"),
        made(extension(0, b"\0\5\0\0\2a")),
        made(b"\0\0\0\xff"),
    ],
)
def test_what_is_no_hello_is_told(data: bytes) -> None:
    with pytest.raises(MalformedHello):
        read_client_hello(data + b"\0" * 65536)


def test_a_hello_that_does_not_end_is_given_up() -> None:
    with pytest.raises(MalformedHello):
        read_client_hello(record(b"\1" + LARGEST.to_bytes(3, "big")))


@pytest.mark.parametrize(
    ("hello", "host", "refused"),
    [
        (ClientHello("shop.example", (), 0x0304, False), "shop.example", None),
        (ClientHello("Shop.Example", (), 0x0304, False), "shop.example.", None),
        (ClientHello(None, (), 0x0304, False), "shop.example", None),
        (ClientHello(None, (), 0x0304, False), "10.0.0.1", None),
        (ClientHello("shop.example", (b"h2", b"http/1.1"), 0x0303, True), "shop.example", None),
        (ClientHello("other.example", (), 0x0304, False), "shop.example", HelloRefusal.OTHER_NAME),
        (ClientHello("shop.example", (), 0x0304, False), "10.0.0.1", HelloRefusal.OTHER_NAME),
        (ClientHello("", (), 0x0304, False), "shop.example", HelloRefusal.OTHER_NAME),
        (ClientHello("public.example", (), 0x0304, True), "shop.example", HelloRefusal.ENCRYPTED),
        (ClientHello("shop.example", (b"h2",), 0x0304, False), "shop.example", HelloRefusal.NO_HTTP_1),
        (ClientHello("shop.example", (), 0x0302, False), "shop.example", HelloRefusal.OLD_TLS),
    ],
)
def test_which_tunnels_can_not_be_opened(hello: ClientHello, host: str, refused: HelloRefusal | None) -> None:
    assert refusal(hello, host) is refused
