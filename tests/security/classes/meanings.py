"""Headers that mean something to us: what they must not be made to mean."""

from __future__ import annotations

from security.classes.building import HELLO, HIDDEN, REFUSED, UNSUPPORTED, chunked, each, line, sent
from security.hostile import TUNNEL, Class, End, Expected, Hostile

_NONE = b"Content-Length: 0\r\n"


def _with(text: bytes) -> bytes:
    return line(text + b"\r\n" + _NONE)


def _nominates(names: bytes, text: bytes = b"") -> bytes:
    return line(b"Connection: " + names + b"\r\n" + text + _NONE)


NOMINATED = Class(
    "nominated-headers",
    "B26 B27",
    "Connection has headers removed on the way: those that protect a request are no such option",
    each(
        sent(lacks=("X-Foo: 1", "Connection: close, X-Foo", "Connection: X-Foo")),
        {
            "one": _nominates(b"X-Foo", b"X-Foo: 1\r\n"),
            "in-lower-case": _nominates(b"x-foo", b"X-Foo: 1\r\n"),
            "in-a-list": _nominates(b"keep-alive, X-Foo", b"X-Foo: 1\r\n"),
            "in-a-second-line": _nominates(b"keep-alive\r\nConnection: X-Foo", b"X-Foo: 1\r\n"),
            "empty-members": _nominates(b",, X-Foo,,", b"X-Foo: 1\r\n"),
            "behind-it": line(b"X-Foo: 1\r\nConnection: X-Foo\r\n" + _NONE),
            "twice-there": _nominates(b"X-Foo", b"X-Foo: 1\r\nX-Foo: 1\r\n"),
            "what-is-not-there": _nominates(b"X-Foo"),
            "itself": _nominates(b"Connection"),
        },
    )
    + each(
        Expected(End.CLOSED, sent(lacks=("X-Foo: 1",)).sent),
        {"and-close": _nominates(b"close, X-Foo", b"X-Foo: 1\r\n")},
    )
    + each(
        REFUSED,
        {
            "host": _nominates(b"Host"),
            "length": _nominates(b"Content-Length"),
            "length-in-upper-case": _nominates(b"CONTENT-LENGTH"),
            "length-in-a-list": _nominates(b"keep-alive ,Content-Length"),
            "length-in-a-second-line": _nominates(b"keep-alive\r\nConnection: Content-Length"),
            "authorization": _nominates(b"Authorization", b"Authorization: Bearer t\r\n"),
            "cookie": _nominates(b"Cookie", b"Cookie: a=b\r\n"),
            "content-type": _nominates(b"Content-Type", b"Content-Type: text/plain\r\n"),
            "idempotency-key": _nominates(b"Idempotency-Key", b"Idempotency-Key: @1@\r\n"),
        },
    )
    + each(sent("hello"), {"coding": chunked(HELLO, b"Connection: Transfer-Encoding\r\n")}),
)

HOP_BY_HOP = Class(
    "hop-by-hop-headers",
    "B28 B49",
    "What is said to the next one only goes no further",
    # The recorder itself refuses these; here is told that each is dropped, and nothing else with it.
    each(
        sent(has=("X-A: 1",)),
        {
            "keep-alive": _with(b"X-A: 1\r\nKeep-Alive: timeout=5"),
            "proxy-connection": _with(b"X-A: 1\r\nProxy-Connection: keep-alive"),
            "te-trailers": _with(b"X-A: 1\r\nTE: trailers"),
            "te-nominated": _with(b"X-A: 1\r\nConnection: TE\r\nTE: trailers"),
            "te-gzip": _with(b"X-A: 1\r\nTE: gzip, chunked"),
            "trailer": _with(b"X-A: 1\r\nTrailer: X-Sum"),
            "upgrade-alone": _with(b"X-A: 1\r\nUpgrade: h2c"),
            "proxy-authenticate": _with(b"X-A: 1\r\nProxy-Authenticate: Basic"),
            "ours": _with(b"X-A: 1\r\nOnceproxy-Anything: 1"),
            "ours-in-lower-case": _with(b"X-A: 1\r\nonceproxy-request-id: 1"),
            "ours-in-upper-case": _with(b"X-A: 1\r\nONCEPROXY-STATUS: completed"),
        },
    )
    + each(
        sent(has=("Authorization: Bearer t",)), {"authorization-goes-on": _with(b"Authorization: Bearer t")}
    ),
)

KEYS = Class(
    "idempotency-keys",
    "B36",
    "A key that can be read in two ways would make two actions of one, or one of two",
    each(
        Expected(End.TOLD),
        {
            "twice": _with(b"Idempotency-Key: @1@\r\nIdempotency-Key: @2@"),
            "twice-equal": _with(b"Idempotency-Key: @1@\r\nIdempotency-Key: @1@"),
            "twice-in-two-cases": _with(b"Idempotency-Key: @1@\r\nidempotency-key: @1@"),
            "empty": _with(b"Idempotency-Key:"),
            "blank": _with(b"Idempotency-Key:   "),
            "empty-string": _with(b'Idempotency-Key: ""'),
            "too-long": _with(b"Idempotency-Key: @1@" + b"x" * 255),
            "utf-8": _with("Idempotency-Key: @1@é".encode()),
            "eight-bit": _with(b"Idempotency-Key: @1@\xff"),
            "next-line": _with(b"Idempotency-Key: @1@\x85"),
            "list": _with(b"Idempotency-Key: @1@, x"),
        },
    )
    + each(sent(has=('Idempotency-Key: "@1@"',)), {"quoted": _with(b'Idempotency-Key: "@1@"')}),
)

OURS = Class(
    "headers-to-us",
    "B36 B49",
    "What is said to the proxy must be said once, and plainly",
    each(
        REFUSED,
        {
            "action-twice": _with(b"Onceproxy-Action: 1\r\nOnceproxy-Action: 2"),
            "mode-unknown": _with(b"Onceproxy-Mode: enforce-not"),
            "mode-twice": _with(b"Onceproxy-Mode: off\r\nOnceproxy-Mode: off"),
            "mode-empty": _with(b"Onceproxy-Mode:"),
        },
    )
    + tuple(
        Hostile(name, _with(b"Proxy-Authorization: " + value), REFUSED, {TUNNEL: sent()})
        for name, value in {
            "credentials-of-another-scheme": b"Bearer t",
            "credentials-in-bad-base64": b"Basic !!!",
            "credentials-of-no-utf-8": b"Basic //79",
            "credentials-twice": b"Basic dTpw\r\nProxy-Authorization: Basic dTpw",
            "credentials-without-scheme": b"dTpw",
        }.items()
    )
    + each(sent(has=("X-A: 1",)), {"credentials": _with(b"X-A: 1\r\nProxy-Authorization: Basic dTpw")})
    + each(sent(), {"action": _with(b"Onceproxy-Action: @1@")}),
)

SIZES = Class(
    "sizes",
    "B38 B39",
    "More than a limit allows",
    each(
        Expected(End.REFUSED, status=(414,)),
        {"target": line(_NONE, target=b"@base@/@1@" + b"x" * 9000)},
    )
    + each(
        Expected(End.REFUSED, status=(431,)),
        {
            "header-value": _with(b"X-A: " + b"x" * 9000),
            "header-name": _with(b"X" * 9000 + b": 1"),
            "header-count": _with(b"\r\n".join(b"X-%d: 1" % n for n in range(300))),
        },
    )
    + each(UNSUPPORTED, {"method": line(_NONE, method=b"P" * 9000)})
    + each(
        Expected(End.REFUSED, status=(413,)),
        {
            "length": line(b"Content-Length: 6000\r\n", b"x" * 6000),
            "length-announced": line(b"Content-Length: 999999999999999999\r\n", b"x"),
            "chunks": chunked(b"1770\r\n" + b"x" * 6000 + b"\r\n0\r\n\r\n"),
            "chunk-announced": chunked(b"fffffffffffffff\r\n" + b"x" * 6000),
        },
    )
    + each(sent("x" * 2000), {"many-chunks": chunked(b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n")}),
)

OPAQUE = Class(
    "opaque-bodies",
    "B43 B48",
    "A body is passed on as it is, whatever it says it is, and what it says of itself with it",
    each(
        sent("\x1f\x8bnothing", has=("Content-Encoding: gzip",)),
        {"no-gzip": line(b"Content-Encoding: gzip\r\nContent-Length: 9\r\n", b"\x1f\x8bnothing")},
    )
    + each(
        sent("hello", has=("Content-Encoding: chunked",)),
        {
            "a-transfer-coding-as-content-coding": line(
                b"Content-Encoding: chunked\r\nContent-Length: 5\r\n", b"hello"
            )
        },
    )
    + each(
        sent("hello", has=("If-Match: *", "Range: bytes=0-1")),
        {"conditions": line(b"If-Match: *\r\nRange: bytes=0-1\r\nContent-Length: 5\r\n", b"hello")},
    )
    + each(
        sent('{"a": 1, "a": 2}', has=("Content-Type: application/json",)),
        {
            "a-name-twice-in-json": line(
                b"Content-Type: application/json\r\nContent-Length: 16\r\n", b'{"a": 1, "a": 2}'
            )
        },
    )
    + each(
        sent("[" * 300, has=("Content-Type: application/json",)),
        {"deep-json": line(b"Content-Type: application/json\r\nContent-Length: 300\r\n", b"[" * 300)},
    )
    + each(
        sent("--b\r\n\r\n" + HIDDEN.decode(), has=("Content-Type: multipart/form-data; boundary=b",)),
        {
            "half-a-multipart": line(
                b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: @length@\r\n",
                b"@<--b\r\n\r\n" + HIDDEN + b"@>",
            )
        },
    )
    + each(sent("\0\r\n\r\n\xff"), {"binary": line(b"Content-Length: 6\r\n", b"\0\r\n\r\n\xff")}),
)

CLASSES = (NOMINATED, HOP_BY_HOP, KEYS, OURS, SIZES, OPAQUE)
