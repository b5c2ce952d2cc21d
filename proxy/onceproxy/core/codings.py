"""Content codings (RFC 9110 §8.4.1) taken off a body, so that its identity is that of what it says.

Two tries of one client may be coded differently: gzip's head holds the time. What goes upstream stays coded.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable

import brotli

from onceproxy.core.canonical import NotCanonical

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_DECODED = 16 * 1024 * 1024
"""Bytes that a body is decoded to. A body that holds more, or that is made to blow up, is compared coded."""

_MAX_CODINGS = 3
_ZSTD_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}  # 8 MiB, as in RFC 9659


def decode(body: bytes, codings: list[bytes]) -> bytes:
    """Take ``codings`` (as they were applied, lower-case) off ``body``.

    Raises:
        NotCanonical: a coding is unknown or bad, or there is more in it than ``MAX_DECODED``.
    """
    if len(codings) > _MAX_CODINGS:
        raise NotCanonical(f"more than {_MAX_CODINGS} content codings")
    for coding in reversed(codings):
        if coding not in _DECODERS:
            raise NotCanonical("an unknown content coding")
        try:
            body = _DECODERS[coding](body)
        except (zlib.error, brotli.error, zstd.ZstdError) as error:
            raise NotCanonical(f"bad content coding: {error}") from None
    return body


def _whole(decoded: bytes, *, ended: bool) -> bytes:
    if len(decoded) > MAX_DECODED:
        raise NotCanonical(f"decoded to more than {MAX_DECODED} bytes")
    if not ended:
        raise NotCanonical("the coded content is cut off, or more follows it")
    return decoded


def _zlib(body: bytes, wbits: int) -> bytes:
    stream = zlib.decompressobj(wbits)
    decoded = stream.decompress(body, MAX_DECODED + 1)
    return _whole(decoded, ended=stream.eof and not stream.unused_data)


def _gzip(body: bytes) -> bytes:
    return _zlib(body, 16 + zlib.MAX_WBITS)


def _deflate(body: bytes) -> bytes:
    try:
        return _zlib(body, zlib.MAX_WBITS)
    except zlib.error:
        return _zlib(body, -zlib.MAX_WBITS)  # without the zlib head: some send it so (RFC 9110 §8.4.1.2)


def _brotli(body: bytes) -> bytes:
    stream = brotli.Decompressor()
    decoded = stream.process(body, output_buffer_limit=MAX_DECODED + 1)
    return _whole(decoded, ended=stream.is_finished())


def _zstd(body: bytes) -> bytes:
    stream = zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
    decoded = stream.decompress(body, MAX_DECODED + 1)
    return _whole(decoded, ended=stream.eof and not stream.unused_data)


_DECODERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": _gzip,
    b"x-gzip": _gzip,
    b"deflate": _deflate,
    b"br": _brotli,
    b"zstd": _zstd,
}
