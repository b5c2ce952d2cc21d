"""Which of two lengths counts, and how a length is written."""

from __future__ import annotations

from security.classes.building import (
    CHUNKED,
    HELLO,
    HIDDEN,
    REFUSED,
    UNSUPPORTED,
    chunked,
    each,
    line,
    sent,
)
from security.hostile import Class, End, Expected

# Read by its length the body is all there is; read by chunks it ends, and a request follows.
_SPLIT = b"@<0\r\n\r\n" + HIDDEN + b"@>"
_LENGTH = b"Content-Length: @length@\r\n"


def _lengths(*values: bytes, body: bytes = b"x") -> bytes:
    return line(b"".join(b"Content-Length: %s\r\n" % value for value in values), body)


def _coding(value: bytes, body: bytes = HELLO) -> bytes:
    return line(b"Transfer-Encoding:%s\r\n" % value, body)


BOTH = Class(
    "length-and-coding",
    "B1",
    "Content-Length and Transfer-Encoding in one request: each server takes the one it likes",
    each(
        REFUSED,
        {
            "length-first": line(_LENGTH + CHUNKED, _SPLIT),
            "coding-first": line(CHUNKED + _LENGTH, _SPLIT),
            "length-zero": line(b"Content-Length: 0\r\n" + CHUNKED, HELLO),
            "length-fits-the-chunks": line(_LENGTH + CHUNKED, b"@<" + HELLO + b"@>"),
            "length-short": line(b"Content-Length: 4\r\n" + CHUNKED, HELLO + HIDDEN),
            "far-apart": line(_LENGTH + b"X-A: 1\r\n" * 20 + CHUNKED, _SPLIT),
            "names-in-lower-case": line(
                b"content-length: @length@\r\ntransfer-encoding: chunked\r\n", _SPLIT
            ),
            "coding-in-upper-case": line(_LENGTH + b"TRANSFER-ENCODING: CHUNKED\r\n", _SPLIT),
            "coding-unknown": line(_LENGTH + b"Transfer-Encoding: xchunked\r\n", _SPLIT),
            "coding-identity": line(_LENGTH + b"Transfer-Encoding: identity\r\n", _SPLIT),
            "coding-empty": line(_LENGTH + b"Transfer-Encoding:\r\n", _SPLIT),
            "coding-with-tab": line(_LENGTH + b"Transfer-Encoding:\tchunked\r\n", _SPLIT),
            "coding-with-space-before-colon": line(_LENGTH + b"Transfer-Encoding : chunked\r\n", _SPLIT),
            "coding-folded": line(_LENGTH + b"Transfer-Encoding:\r\n chunked\r\n", _SPLIT),
            "coding-behind-a-bare-line-feed": line(_LENGTH + b"X: 1\nTransfer-Encoding: chunked\r\n", _SPLIT),
            "coding-behind-a-bare-return": line(_LENGTH + b"X: 1\rTransfer-Encoding: chunked\r\n", _SPLIT),
            "coding-behind-a-nul": line(_LENGTH + b"X: 1\0Transfer-Encoding: chunked\r\n", _SPLIT),
            "in-http-1.0": line(_LENGTH + CHUNKED, _SPLIT, version=b"HTTP/1.0"),
            "nominated": line(b"Connection: Content-Length\r\n" + _LENGTH + CHUNKED, _SPLIT),
            "on-a-get": line(_LENGTH + CHUNKED, _SPLIT, method=b"GET"),
        },
    ),
)

TWICE = Class(
    "length-twice",
    "B2",
    "Several lengths: the first, the last, or their sum",
    each(
        REFUSED,
        {
            "equal": _lengths(b"1", b"1"),
            "longer-last": _lengths(b"1", b"@length@", body=b"x@<" + HIDDEN + b"@>"),
            "longer-first": _lengths(b"@length@", b"0", body=b"@<" + HIDDEN + b"@>"),
            "zero-first": _lengths(b"0", b"1"),
            "three": _lengths(b"1", b"1", b"1"),
            "as-a-list": _lengths(b"1, 1"),
            "as-a-list-without-space": _lengths(b"1,1"),
            "as-a-list-of-two": _lengths(b"1, 2"),
            "as-a-list-with-nothing": _lengths(b"1,"),
            "as-a-list-from-nothing": _lengths(b",1"),
            "one-empty": _lengths(b"", b"1"),
            "in-two-cases": line(b"Content-Length: 1\r\ncontent-length: 1\r\n", b"x"),
            "apart": line(b"Content-Length: 1\r\nX-A: 1\r\nContent-Length: 1\r\n", b"x"),
            "on-a-get": line(b"Content-Length: 0\r\nContent-Length: 5\r\n", b"hello", method=b"GET"),
            "in-http-1.0": line(b"Content-Length: 0\r\nContent-Length: 5\r\n", b"hello", version=b"HTTP/1.0"),
        },
    ),
)

SPELLINGS = Class(
    "length-spellings",
    "B3",
    "What some number parsers take for a number, and others do not",
    each(
        REFUSED,
        {
            "plus": _lengths(b"+1"),
            "minus": _lengths(b"-1"),
            "minus-zero": _lengths(b"-0", body=b""),
            "hexadecimal": _lengths(b"0x1"),
            "hexadecimal-digit": _lengths(b"a", body=b"x" * 10),
            "octal": _lengths(b"0o1"),
            "binary": _lengths(b"0b1"),
            "underscore": _lengths(b"1_0", body=b"x" * 10),
            "letter-behind": _lengths(b"1Z"),
            "empty": _lengths(b"", body=b""),
            "blank": _lengths(b"   ", body=b""),
            "point": _lengths(b"1.0"),
            "exponent": _lengths(b"1e0"),
            "two-numbers": _lengths(b"1 1"),
            "semicolon": _lengths(b"1;a=b"),
            "quoted": _lengths(b'"1"'),
            "percent": _lengths(b"%31"),
            "nul-behind": _lengths(b"1\x00"),
            "vertical-tab-before": _lengths(b"\x0b1"),
            "form-feed-behind": _lengths(b"1\x0c"),
            "no-break-space-before": _lengths(b"\xa01"),
            "next-line-behind": _lengths(b"1\x85"),
            "superscript": _lengths(b"\xb9"),
            "arabic-digit": _lengths("١".encode()),
            "full-width-digit": _lengths("１".encode()),
            "infinity": _lengths(b"inf"),
            "2-to-the-64-and-1": _lengths(b"18446744073709551617"),
            "2-to-the-128-and-1": _lengths(b"340282366920938463463374607431768211457"),
            "folded": line(b"Content-Length:\r\n 1\r\n", b"x"),
            "folded-digits": line(b"Content-Length: 1\r\n 0\r\n", b"x" * 10),
            "space-before-colon": line(b"Content-Length : 1\r\n", b"x"),
            "tab-before-colon": line(b"Content-Length\t: 1\r\n", b"x"),
        },
    )
    + each(
        sent("x", has=("Content-Length: 1",)),
        {
            "leading-zeros": _lengths(b"0001"),
            "blanks-around": line(b"Content-Length: \t 1 \t\r\n", b"x"),
            "no-space": line(b"Content-Length:1\r\n", b"x"),
        },
    )
    + each(
        sent("0123456789"),
        {"leading-zero-is-not-octal": _lengths(b"010", body=b"0123456789")},
    )
    + each(Expected(End.REFUSED, status=(413,)), {"2-to-the-63": _lengths(b"9223372036854775808")})
    + each(sent(), {"another-name": line(b"Content_Length: 1\r\n")})
    + each(sent(), {"none": line()}),
)

CODINGS = Class(
    "coding-spellings",
    "B4 B5 B6",
    "What one server takes for chunked, and another does not",
    each(
        Expected(End.REFUSED, status=(400, 501)),
        {
            "twice": line(CHUNKED + CHUNKED, HELLO),
            "twice-other-first": line(b"Transfer-Encoding: gzip\r\n" + CHUNKED, HELLO),
            "twice-other-last": line(CHUNKED + b"Transfer-Encoding: identity\r\n", HELLO),
            "x-before": _coding(b" xchunked"),
            "x-behind": _coding(b" chunkedx"),
            "chunked-not-last": _coding(b" chunked, gzip"),
            "chunked-twice-in-a-list": _coding(b" chunked, chunked"),
            "identity": _coding(b" identity"),
            "chunked-identity": _coding(b" chunked, identity"),
            "cow": _coding(b" cow"),
            "empty": _coding(b"", b""),
            "parameter": _coding(b" chunked;a=b"),
            "quoted": _coding(b' "chunked"'),
            "no-break-space-before": _coding(b" \xa0chunked"),
            "no-break-space-behind": _coding(b" chunked\xa0"),
            "next-line-before": _coding(b" \x85chunked"),
            "vertical-tab-before": _coding(b" \x0bchunked"),
            "form-feed-behind": _coding(b" chunked\x0c"),
            "nul-behind": _coding(b" chunked\x00"),
            "return-behind": _coding(b" chunked\r"),
            "comma-behind": _coding(b" chunked,"),
            "semicolon-behind": _coding(b" chunked;"),
            "colon-twice": _coding(b": chunked"),
            "folded": line(b"Transfer-Encoding:\r\n chunked\r\n", HELLO),
            "folded-behind": line(b"Transfer-Encoding: chunked\r\n gzip\r\n", HELLO),
            "space-before-colon": line(b"Transfer-Encoding : chunked\r\n", HELLO),
            "tab-before-colon": line(b"Transfer-Encoding\t: chunked\r\n", HELLO),
            "space-before-name": line(b" Transfer-Encoding: chunked\r\n", HELLO),
            "tab-behind": _coding(b" chunked\t"),
            "next-line-in-name": line(b"Transfer-Encoding\x85: chunked\r\n", HELLO),
        },
    )
    + each(
        UNSUPPORTED,
        {
            "gzip-chunked": _coding(b" gzip, chunked"),
            "deflate-chunked": _coding(b" deflate, chunked"),
            "comma-before": _coding(b" , chunked"),
            "unknown-chunked": _coding(b" cow, chunked"),
        },
    )
    + each(
        sent("hello", lacks=("Transfer-Encoding: chunked", "Transfer-Encoding: CHUNKED")),
        {
            "plain": chunked(HELLO),
            "in-upper-case": _coding(b" CHUNKED"),
            "in-mixed-case": _coding(b" cHuNkEd"),
            "no-space": _coding(b"chunked"),
            "blanks-before": _coding(b" \t chunked"),
        },
    )
    # Not the name of the header: passed on as any other, and nothing is framed by it.
    + each(sent(), {"another-name": line(b"Transfer_Encoding: chunked\r\nContent-Length: 0\r\n")})
    + each(sent(), {"prefixed-name": line(b"X-Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")}),
)

OLD = Class(
    "coding-in-http-1.0",
    "B7",
    "HTTP/1.0 knows no transfer coding: a server of it reads chunks as the next request",
    each(
        REFUSED,
        {
            "chunked": line(CHUNKED, HELLO, version=b"HTTP/1.0"),
            "chunked-hiding": line(CHUNKED, b"0\r\n\r\n" + HIDDEN, version=b"HTTP/1.0"),
            "keep-alive": line(CHUNKED + b"Connection: keep-alive\r\n", HELLO, version=b"HTTP/1.0"),
            "get": line(CHUNKED, HELLO, method=b"GET", version=b"HTTP/1.0"),
            "nominated": line(CHUNKED + b"Connection: transfer-encoding\r\n", HELLO, version=b"HTTP/1.0"),
        },
    ),
)

CLASSES = (BOTH, TWICE, SPELLINGS, CODINGS, OLD)
