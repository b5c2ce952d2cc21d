"""Where a header line ends, what its name is, and what may be in it."""

from __future__ import annotations

from security.classes.building import HELLO, HIDDEN, HOST, REFUSED, each, line, sent
from security.hostile import Class

_FIRST = b"POST @base@/@1@ HTTP/1.1"
_NONE = b"Content-Length: 0\r\n"


def _with(text: bytes) -> bytes:
    return line(text + b"\r\n" + _NONE)


LINE_ENDS = Class(
    "line-ends",
    "B9",
    "A line feed or a carriage return alone: some end a line there",
    each(
        REFUSED,
        {
            "line-feed-behind-the-first": _FIRST + b"\n" + HOST + _NONE + b"\r\n",
            "return-behind-the-first": _FIRST + b"\r" + HOST + _NONE + b"\r\n",
            "two-returns-behind-the-first": _FIRST + b"\r\r\n" + HOST + _NONE + b"\r\n",
            "line-feed-behind-host": _FIRST + b"\r\nHost: @host@\n" + _NONE + b"\r\n",
            "return-behind-host": _FIRST + b"\r\nHost: @host@\r" + _NONE + b"\r\n",
            "line-feed-for-the-empty-line": _FIRST + b"\r\n" + HOST + _NONE + b"\n",
            "return-for-the-empty-line": _FIRST + b"\r\n" + HOST + _NONE + b"\r" + HIDDEN,
            "line-feeds-alone": _FIRST + b"\nHost: @host@\nContent-Length: 0\n\n",
            "returns-alone": _FIRST + b"\rHost: @host@\rContent-Length: 0\r\r\n\r\n",
            "swapped": _FIRST + b"\n\rHost: @host@\n\r" + _NONE + b"\r\n",
            "line-feed-hides-a-line": _with(b"X-A: 1\nX-B: 2"),
            "return-hides-a-line": _with(b"X-A: 1\rX-B: 2"),
            "line-feed-begins-a-value": _with(b"X-A:\n1"),
            "return-begins-a-value": _with(b"X-A:\r1"),
            "return-ends-a-value": _with(b"X-A: 1\r"),
            "line-feed-in-a-name": _with(b"X\nA: 1"),
            "return-in-a-name": _with(b"X\rA: 1"),
            "two-line-feeds-hide-a-request": _with(b"X-A: 1\n\n" + HIDDEN),
            "two-returns-hide-a-request": _with(b"X-A: 1\r\r" + HIDDEN),
            "line-feed-in-the-target": line(_NONE, target=b"@base@/@1@\nX: HTTP/1.1"),
            "return-in-the-target": line(_NONE, target=b"@base@/@1@\rX: HTTP/1.1"),
            "line-feed-first": b"\n \n" + line(_NONE),
        },
    )
    # Line ends before a request are skipped (RFC 9112 §2.2), and hide nothing.
    + each(
        sent(),
        {
            "empty-line-first": b"\r\n" + line(_NONE),
            "two-first": b"\r\n\r\n" + line(_NONE),
            "return-first": b"\r" + line(_NONE),
            "line-feed-alone-first": b"\n" + line(_NONE),
        },
    ),
)

_CONTROLS = [byte for byte in (*range(0x20), 0x7F) if byte not in (0x09, 0x0A, 0x0D)]

CONTROLS = Class(
    "control-characters",
    "B11",
    "A value is cut where some parser in C sees its end, or a terminal obeys it",
    each(
        REFUSED,
        {f"value-{byte:02x}": _with(b"X-A: a%cb" % byte) for byte in _CONTROLS}
        | {f"name-{byte:02x}": _with(b"X%cA: 1" % byte) for byte in (0, 1, 9, 0x0B, 0x7F)}
        | {
            f"target-{byte:02x}": line(_NONE, target=b"@base@/@1@%cb" % byte)
            for byte in (0, 1, 9, 0x0B, 0x0C, 0x7F)
        }
        | {f"method-{byte:02x}": line(_NONE, method=b"PO%cST" % byte) for byte in (0, 1, 9, 0x7F)}
        | {f"version-{byte:02x}": line(_NONE, version=b"HTTP/1.1%c" % byte) for byte in (0, 9, 0x0B)}
        | {"host-00": line(_NONE, host=b"Host: @host@\x00.example\r\n")}
        | {"key-00": _with(b"Idempotency-Key: a\x00b")},
    )
    + each(sent(has=("X-A: a\tb",)), {"a-tab-is-none": _with(b"X-A: a\tb")}),
)

NAMES = Class(
    "header-names",
    "B12 B14",
    "What is no name: some drop it, some mend it, and it is a header to some",
    each(
        REFUSED,
        {
            "space-before-colon": _with(b"X-A : 1"),
            "tab-before-colon": _with(b"X-A\t: 1"),
            "spaces-before-colon": _with(b"X-A   : 1"),
            "no-colon": _with(b"X-A"),
            "no-colon-but-spaces": _with(b"X-A 1"),
            "no-name": _with(b": 1"),
            "a-space-for-a-name": _with(b" : 1"),
            "only-a-colon": _with(b":"),
            "space-before-the-first": _FIRST + b"\r\n X-A: 1\r\n" + HOST + _NONE + b"\r\n",
            "tab-before-the-first": _FIRST + b"\r\n\tX-A: 1\r\n" + HOST + _NONE + b"\r\n",
            "space-in": _with(b"X A: 1"),
            "next-line": _with(b"X-\x85: 1"),
            "no-break-space-behind": _with(b"X-A\xa0: 1"),
            "eight-bit": _with(b"X-\xff: 1"),
            "utf-8": _with("X-é: 1".encode()),
            "long-s-for-an-s": _with("Hoſt: example".encode()),
            "a-request-line-for-a-header": _with(b"GET /@2@ HTTP/1.1"),
        }
        | {f"delimiter-{ord(char):02x}": _with(b"X%cA: 1" % ord(char)) for char in '"(),/;<=>?@[\\]{}'},
    )
    + each(
        sent(has=("x-a: 1",)),
        {"lower-case": _with(b"x-a: 1")},
    )
    + each(sent(has=("X_A: 1",)), {"underscore": _with(b"X_A: 1")})
    + each(sent(has=("!#$%&'*+-.^_`|~9: 1",)), {"all-that-is-allowed": _with(b"!#$%&'*+-.^_`|~9: 1")})
    + each(sent(has=("X-A: ",)), {"no-value": _with(b"X-A:")})
    + each(sent(has=("X-A: : 1",)), {"two-colons": _with(b"X-A: : 1")}),
)

FOLDS = Class(
    "folded-lines",
    "B13",
    "A line that goes on in the next: a value to some, a header to others",
    each(
        REFUSED,
        {
            "space": _with(b"X-A: 1\r\n 2"),
            "tab": _with(b"X-A: 1\r\n\t2"),
            "blank": _with(b"X-A: 1\r\n "),
            "hides-a-header": _with(b"X-A: 1\r\n Transfer-Encoding: chunked"),
            "first-value-empty": _with(b"X-A:\r\n 1"),
            "key": _with(b"Idempotency-Key:\r\n k"),
            "host": line(_NONE, host=b"Host:\r\n @host@\r\n"),
            "last": line(_NONE + b" 5\r\n"),
            "behind-a-bare-line-feed": _with(b"X-A: 1\n 2"),
            "at-the-end-of-the-head": line(_NONE + b"X-A: 1\r\n \r\n"),
        },
    ),
)

EIGHT_BIT = Class(
    "eight-bit-values",
    "B11 B36",
    "Bytes beyond ASCII are passed on as they are: re-coding them could make line ends of them",
    each(sent(has=("X-A: caf\xe9",)), {"latin-1": _with(b"X-A: caf\xe9")})
    + each(sent(has=("X-A: \xc3\xa9",)), {"utf-8": _with("X-A: é".encode())})
    + each(sent(has=("X-A: a\x85b",)), {"next-line": _with(b"X-A: a\x85b")})
    + each(sent(has=("X-A: a\xe2\x80\xa8b",)), {"line-separator": _with("X-A: a\u2028b".encode())})
    + each(
        sent(has=("X-A: \xe5\x98\x8a\xe5\x98\x8dX-B: 2",)),
        {"becomes-a-line-end-in-one-byte": _with("X-A: 嘊嘍X-B: 2".encode())},
    )
    + each(sent(has=("X-A: a\xc0\x8ab",)), {"overlong-line-feed": _with(b"X-A: a\xc0\x8ab")})
    + each(sent(has=("X-A: a\xed\xa0\x80b",)), {"surrogate": _with(b"X-A: a\xed\xa0\x80b")})
    + each(sent(has=("X-A: a\xff\xfeb",)), {"no-utf-8": _with(b"X-A: a\xff\xfeb")})
    + each(sent(has=("X-A: %0d%0aX-B: 2",)), {"escaped-line-end": _with(b"X-A: %0d%0aX-B: 2")})
    + each(sent(has=("X-A: \\r\\nX-B: 2",)), {"written-line-end": _with(b"X-A: \\r\\nX-B: 2")})
    + each(
        sent("5\r\nhello\r\n0\r\n\r\n", has=("X-A: \xa0",)),
        {"no-break-space-alone": line(b"X-A: \xa0\r\nContent-Length: 15\r\n", HELLO)},
    ),
)

CLASSES = (LINE_ENDS, CONTROLS, NAMES, FOLDS, EIGHT_BIT)
