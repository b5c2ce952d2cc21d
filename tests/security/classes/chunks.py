"""Where a chunk begins and ends."""

from __future__ import annotations

from security.classes.building import CHUNKED, HELLO, HIDDEN, REFUSED, chunked, each, line, sent
from security.hostile import Class, End, Expected

_END = b"0\r\n\r\n"


def _size(text: bytes, data: bytes = b"hello") -> bytes:
    return chunked(text + b"\r\n" + data + b"\r\n" + _END)


SIZES = Class(
    "chunk-sizes",
    "B8",
    "What some parsers take for a hexadecimal number, and others do not, or cut short",
    each(
        REFUSED,
        {
            "prefix": _size(b"0x5"),
            "prefix-upper": _size(b"0X5"),
            "plus": _size(b"+5"),
            "minus": _size(b"-5"),
            "minus-zero": chunked(b"-0\r\n\r\n" + HIDDEN),
            "space-before": _size(b" 5"),
            "tab-before": _size(b"\t5"),
            "space-behind": _size(b"5 "),
            "tab-behind": _size(b"5\t"),
            "spaces-in": _size(b"0 5"),
            "underscore": _size(b"0_5"),
            "empty": _size(b""),
            "letter-behind": _size(b"5g"),
            "letter-h": _size(b"5h"),
            "dot": _size(b"5.0"),
            "comma": _size(b"5,"),
            "quoted": _size(b'"5"'),
            "nul-before": _size(b"\x005"),
            "nul-behind": _size(b"5\x00"),
            "vertical-tab": _size(b"\x0b5"),
            "no-break-space": _size(b"\xa05"),
            "arabic-digit": _size("٥".encode()),
            "full-width-digit": _size("５".encode()),
            "2-to-the-64-and-5": _size(b"10000000000000005"),
            "2-to-the-128-and-5": _size(b"100000000000000000000000000000005"),
            "all-ones-and-a-request": chunked(b"fffffffffffffffff\r\n" + HIDDEN),
            "none-but-an-extension": _size(b";a=b"),
            "a-word": chunked(b"hello\r\n" + _END),
            "a-request": chunked(HIDDEN),
        },
    )
    + each(
        sent("hello"),
        {
            "leading-zeros": _size(b"0005"),
            "sixteen-digits": _size(b"0000000000000005"),
            "two-chunks": chunked(b"2\r\nhe\r\n3\r\nllo\r\n" + _END),
            "one-byte-each": chunked(b"".join(b"1\r\n%c\r\n" % c for c in b"hello") + _END),
            "last-of-many-zeros": chunked(b"5\r\nhello\r\n0000\r\n\r\n"),
        },
    )
    + each(
        sent("0123456789"),
        {
            "upper-case": _size(b"A", b"0123456789"),
            "lower-case": _size(b"a", b"0123456789"),
            "decimal-ten-is-not-sixteen": chunked(b"5\r\n01234\r\n5\r\n56789\r\n" + _END),
        },
    )
    + each(
        sent("GET / HTTP/1.1\r\n\r\n"),
        {"a-request-as-data": _size(b"12", b"GET / HTTP/1.1\r\n\r\n")},
    ),
)

EXTENSIONS = Class(
    "chunk-extensions",
    "B9 B40",
    "What stands behind a chunk's size is dropped, and must not hide where its line ends",
    each(
        sent("hello"),
        {
            "name": _size(b"5;a"),
            "value": _size(b"5;a=b"),
            "quoted-value": _size(b'5;a="b c"'),
            "two": _size(b"5;a=b;c=d"),
            "on-the-last": chunked(b"5\r\nhello\r\n0;a=b\r\n\r\n"),
        },
    )
    + each(
        REFUSED,
        {
            "line-feed-behind": chunked(b"5;a\nhello\r\n" + _END),
            "line-feed-in": chunked(b"5;a\nb\r\nhello\r\n" + _END),
            "line-feed-for-the-end": chunked(b"5\nhello\r\n" + _END),
            "return-in": chunked(b"5;a=b\r\rhello\r\n" + _END),
            "return-hides-a-chunk": chunked(b"0;a=b\r\rXX\r\n\r\n" + HIDDEN),
            "return-for-the-end": chunked(b"5;a\rhello\r\n" + _END),
            "nul-in": _size(b"5;a\x00b"),
            "control-in": _size(b"5;a=\x01"),
            "line-end-in-quotes": chunked(b'5;a="\r\n"\r\nhello\r\n' + _END),
            "line-feed-in-quotes": chunked(b'5;a="\n"\r\nhello\r\n' + _END),
            "line-feed-on-the-last": chunked(b"5\r\nhello\r\n0;a\n\r\n" + HIDDEN),
        },
    ),
)

ENDS = Class(
    "chunk-ends",
    "B10",
    "Data that does not end where its size says, and last chunks that do not end the body",
    each(
        REFUSED,
        {
            "line-feed": chunked(b"5\r\nhello\n" + _END),
            "return": chunked(b"5\r\nhello\r" + _END),
            "nothing": chunked(b"5\r\nhello" + _END),
            "two-bytes-too-many": chunked(b"5\r\nhelloXX" + _END),
            "two-bytes-for-the-end": chunked(b"5\r\nhelloXX0\r\n\r\n" + HIDDEN),
            "space-before-the-end": chunked(b"5\r\nhello \r\n" + _END),
            "size-too-small": chunked(b"4\r\nhello\r\n" + _END),
            "size-too-large": chunked(b"6\r\nhello\r\n" + _END),
            "swapped": chunked(b"5\r\nhello\n\r" + _END),
            "line-feeds-on-the-last": chunked(b"5\r\nhello\r\n0\n\n" + HIDDEN),
            "line-feed-behind-the-last": chunked(b"5\r\nhello\r\n0\r\n\n" + HIDDEN),
            "junk-behind-the-last": chunked(b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
            "return-and-junk-behind-the-last": chunked(b"5\r\nhello\r\n0\r\n\rX" + HIDDEN),
            "hidden-in-the-last": chunked(b"0\r\n" + HIDDEN),
            "negative-last": chunked(b"5\r\nhello\r\n-1\r\n\r\n"),
        },
    ),
)

TRAILERS = Class(
    "trailers",
    "B35",
    "Fields behind the body: never merged into those before it, which were checked",
    each(
        Expected(End.ANSWERED, sent("hello").sent),
        {
            "one": chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
            "two": chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Len: 5\r\n\r\n"),
            "announced": chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", b"Trailer: X-Sum\r\n"),
        },
    )
    + each(
        sent("hello", lacks=("Authorization: Bearer t", "Idempotency-Key: k", "Cookie: a=b", "X-A: 1")),
        {
            "authorization": chunked(b"5\r\nhello\r\n0\r\nAuthorization: Bearer t\r\n\r\n"),
            "idempotency-key": chunked(b"5\r\nhello\r\n0\r\nIdempotency-Key: k\r\n\r\n"),
            "cookie": chunked(b"5\r\nhello\r\n0\r\nCookie: a=b\r\n\r\n"),
            "nominated": chunked(b"5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n", b"Connection: X-A\r\n"),
        },
    )
    + each(
        REFUSED,
        {
            "length": chunked(b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"),
            "coding": chunked(b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "no-colon": chunked(b"5\r\nhello\r\n0\r\nX-Sum\r\n\r\n"),
            "space-before-colon": chunked(b"5\r\nhello\r\n0\r\nX-Sum : 1\r\n\r\n"),
            "folded": chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n 2\r\n\r\n"),
            "line-feed": chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\n\r\n"),
            "nul": chunked(b"5\r\nhello\r\n0\r\nX-Sum: \x00\r\n\r\n"),
            "name-with-space": chunked(b"5\r\nhello\r\n0\r\nX Sum: 1\r\n\r\n"),
        },
    ),
)

STREAMED = Class(
    "chunks-of-a-read",
    "B8 B10",
    "A body that is sent on while it arrives: where it turns bad, what went upstream is no whole request",
    each(
        REFUSED,
        {
            "bad-size": line(CHUNKED, b"5\r\nhello\r\n0x5\r\nhello\r\n" + _END, method=b"GET"),
            "bad-end": line(CHUNKED, b"5\r\nhelloXX" + _END + HIDDEN, method=b"GET"),
            "bad-trailer": line(CHUNKED, b"5\r\nhello\r\n0\r\nX-Sum : 1\r\n\r\n", method=b"GET"),
            "line-feeds": line(CHUNKED, b"5\nhello\n0\n\n" + HIDDEN, method=b"GET"),
        },
    )
    + each(sent("hello", method="GET"), {"good": line(CHUNKED, HELLO, method=b"GET")}),
)

_LATE = {
    "size": b"0x5\r\nhello\r\n" + _END,
    "no-size": b"\r\n" + HIDDEN,
    "end": b"5\r\nhelloXX" + _END + HIDDEN,
    "line-feeds": b"5\nhello\n0\n\n" + HIDDEN,
    "trailer": b"5\r\nhello\r\n0\r\nX-Sum : 1\r\n\r\n",
    "request": HIDDEN,
    # The end of a chunk wakes whoever reads, together with what is wrong behind it.
    "end-of-a-chunk-and-junk": b"5\r\nhello@pause@\r\n0\r\n\rX" + HIDDEN,
    "end-of-a-chunk-and-no-size": b"5\r\nhello@pause@\r\nX\r\n",
}


def _late(rest: bytes, method: bytes) -> bytes:
    return line(b"Expect: 100-continue\r\n" + CHUNKED, b"@leave@5\r\nfirst\r\n" + rest, method=method)


LATE = Class(
    "late-bodies",
    "B8 B9 B10 B33",
    "The head is read and its body is asked for; what comes then is none",
    each(REFUSED, {f"post-{name}": _late(rest, b"POST") for name, rest in _LATE.items()})
    + each(REFUSED, {f"get-{name}": _late(rest, b"GET") for name, rest in _LATE.items()})
    + each(sent("firsthello"), {"post-good": _late(HELLO, b"POST")})
    + each(sent("firsthello", method="GET"), {"get-good": _late(HELLO, b"GET")}),
)

CLASSES = (SIZES, EXTENSIONS, ENDS, TRAILERS, STREAMED, LATE)
