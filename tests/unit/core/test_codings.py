"""Content codings: taken off within limits, or not at all."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest

from onceproxy.core.canonical import NotCanonical
from onceproxy.core.codings import MAX_DECODED, decode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b'{"amount": 100}' * 50


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


CODERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"zstd": zstd.compress,
}
each_coding = pytest.mark.parametrize("coding", CODERS)


@each_coding
def test_each_coding_comes_off(coding: bytes) -> None:
    assert decode(CODERS[coding](TEXT), [coding]) == TEXT
    assert decode(CODERS[coding](b""), [coding]) == b""


def test_deflate_without_its_head_comes_off() -> None:
    assert decode(raw_deflate(TEXT), [b"deflate"]) == TEXT


def test_several_come_off_the_last_one_first() -> None:
    assert decode(brotli.compress(gzip.compress(TEXT)), [b"gzip", b"br"]) == TEXT


@each_coding
def test_a_bomb_is_left_alone(coding: bytes) -> None:
    bomb = CODERS[coding](bytes(MAX_DECODED + 1))
    assert len(bomb) < MAX_DECODED // 500
    with pytest.raises(NotCanonical, match="decoded to more"):
        decode(bomb, [coding])
    assert len(decode(CODERS[coding](bytes(MAX_DECODED)), [coding])) == MAX_DECODED


@each_coding
@pytest.mark.parametrize(
    "spoil",
    [lambda data: data[:-1], lambda data: data + b"more", lambda data: b"", lambda data: b"{" + data[1:]],
    ids=["cut", "longer", "empty", "other"],
)
def test_what_is_bad_is_left_alone(coding: bytes, spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(NotCanonical):
        decode(spoil(CODERS[coding](TEXT)), [coding])


@pytest.mark.parametrize("codings", [[b"compress"], [b"gzip", b"aes128gcm"], [b"gzip"] * 4])
def test_unknown_codings_and_towers_of_them_are_left_alone(codings: list[bytes]) -> None:
    with pytest.raises(NotCanonical):
        decode(gzip.compress(TEXT), codings)


def test_a_window_larger_than_http_allows_is_left_alone() -> None:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    stream = zstd.ZstdCompressor(options=options)
    with pytest.raises(NotCanonical, match="bad content coding"):
        decode(stream.compress(TEXT) + stream.flush(), [b"zstd"])
