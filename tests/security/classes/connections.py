"""What else is on a connection: other requests, other protocols, a client that leaves."""

from __future__ import annotations

from security.classes.building import (
    CHUNKED,
    CUT,
    HELLO,
    HIDDEN,
    HOST,
    REFUSED,
    UNSUPPORTED,
    each,
    good,
    line,
    sent,
)
from security.hostile import Class, End, Expected, Sent

_NONE = b"Content-Length: 0\r\n"
_FIVE = b"Content-Length: 5\r\n"
_TWO = (Sent("1", body="x"), Sent("2", body="x"))


def _get(mark: int, lines: bytes = b"") -> bytes:
    return line(lines, method=b"GET", target=b"@base@/@%d@" % mark)


PIPELINES = Class(
    "pipelines",
    "B42",
    "Requests right behind one another: each is sent once, answered in order, with its own bytes alone",
    each(
        Expected(End.ANSWERED, _TWO),
        {
            "two": good(1) + good(2),
            "an-empty-line-between": good(1) + b"\r\n" + good(2),
            "two-empty-lines-between": good(1) + b"\r\n\r\n" + good(2),
        },
    )
    + each(
        Expected(End.ANSWERED, tuple(Sent(str(n), body="x") for n in range(1, 9))),
        {"eight": b"".join(good(n) for n in range(1, 9))},
    )
    + each(
        Expected(End.ANSWERED, tuple(Sent(str(n), "GET") for n in range(1, 9))),
        {"eight-reads": b"".join(_get(n) for n in range(1, 9))},
    )
    + each(
        Expected(End.ANSWERED, (Sent("1", body="hello"), Sent("2", "GET"))),
        {
            "chunks-then-a-read": line(CHUNKED, HELLO) + _get(2),
            "a-length-then-a-read": line(_FIVE, b"hello") + _get(2),
        },
    )
    + each(
        Expected(End.ANSWERED, (Sent("1", "GET", "hello"), Sent("2", body="x"))),
        {"a-read-with-a-body-then-a-post": line(_FIVE, b"hello", method=b"GET") + good(2)},
    )
    + each(
        Expected(End.ANSWERED, (Sent("1", "HEAD"), Sent("2", "GET"))),
        {"head-then-get": line(method=b"HEAD") + _get(2)},
    )
    # The parser may have seen what stands behind the last request before that one was served, or not.
    + each(
        Expected(End.PERHAPS, (Sent("1", body="x"),)),
        {
            "behind-a-close": line(b"Connection: close\r\nContent-Length: 1\r\n", b"x") + good(2),
            "behind-http-1.0": line(b"Content-Length: 1\r\n", b"x", version=b"HTTP/1.0") + good(2),
        },
    )
    + each(
        Expected(End.PERHAPS, (Sent("1", body="x"),), status=(400, 501, 505)),
        {
            "then-junk": good(1) + b"\x00\x01\x02\r\n\r\n",
            "then-two-lengths": good(1) + line(_NONE + _FIVE, b"hello", target=b"@base@/@2@"),
            "then-no-host": good(1) + line(_NONE, target=b"@base@/@2@", host=b""),
            "then-http-2.0": good(1) + line(_NONE, target=b"@base@/@2@", version=b"HTTP/2.0"),
            "then-a-body-too-much": good(1, b"x") + b"yz" + good(2),
            "then-lower-case": good(1) + line(_NONE, method=b"post", target=b"@base@/@2@"),
            "then-an-answer": good(1) + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        },
    ),
)

PROTOCOLS = Class(
    "other-protocols",
    "B44",
    "What speaks no HTTP/1.1",
    each(
        Expected(End.REFUSED, status=(400, 505)),
        {
            "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0",
            "http-2-then-a-request": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
            "http-0.9": b"GET @base@/@1@\r\n\r\n",
            "http-0.9-without-a-target": b"GET\r\n\r\n",
            "socks-4": b"\4\1\0\x50\x7f\0\0\1\0",
            "socks-5": b"\5\1\0",
            "tls-alert": b"\x15\3\1\0\2\2\x28",
            "sslv2-hello": b"\x80\x2e\1\3\1\0\x15\0\0\0\x10\r\n\r\n",
            "smtp": b"EHLO example.com\r\n\r\n",
            "ssh": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "redis": b"*1\r\n$4\r\nPING\r\n",
            "proxy-protocol-1": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + good(1),
            "proxy-protocol-2": b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0" + good(1),
            "fastcgi": b"\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0",
            "uwsgi": b"\0\x05\0\0\3\0KEY\r\n\r\n",
            "nothing-but-nul": b"\0" * 16,
        },
    ),
)

UPGRADES = Class(
    "upgrades",
    "B45",
    "Another protocol is asked for: one that carries HTTP would go past the guard",
    each(
        sent(
            "hello", lacks=("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Connection: Upgrade")
        ),
        {
            "h2c": line(
                b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n" + _FIVE,
                b"hello",
            ),
            "h2c-in-upper-case": line(b"Connection: upgrade\r\nUpgrade: H2C\r\n" + _FIVE, b"hello"),
            "http-2.0": line(b"Connection: upgrade\r\nUpgrade: HTTP/2.0\r\n" + _FIVE, b"hello"),
            "tls": line(b"Connection: upgrade\r\nUpgrade: TLS/1.0\r\n" + _FIVE, b"hello"),
            "not-nominated": line(b"Upgrade: websocket\r\n" + _FIVE, b"hello"),
        },
    )
    + each(
        sent(method="GET", lacks=("Upgrade: h2c", "Connection: Upgrade")),
        {"h2c-on-a-read": _get(1, b"Connection: Upgrade\r\nUpgrade: h2c\r\n")},
    )
    + each(
        sent(method="GET", has=("Upgrade: websocket", "Connection: Upgrade")),
        {"websocket-that-is-declined": _get(1, b"Connection: Upgrade\r\nUpgrade: websocket\r\n")},
    )
    + each(
        Expected(End.ANSWERED, (Sent("1", "GET", has=("Upgrade: websocket",)), Sent("2", body="x"))),
        {
            "a-post-behind-one-that-is-declined": _get(1, b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
            + good(2)
        },
    )
    + each(
        UNSUPPORTED,
        {"websocket-on-a-post": line(b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + _FIVE, b"hello")},
    )
    + each(
        Expected(End.CLOSED, sent(method="GET").sent),
        {
            "websocket-in-http-1.0": line(
                b"Connection: Upgrade\r\nUpgrade: websocket\r\n", method=b"GET", version=b"HTTP/1.0"
            ),
        },
    ),
)

EXPECTATIONS = Class(
    "expectations",
    "B33 B34",
    "A client that waits for leave to send its body gets it from us, and nobody waits for ever",
    each(
        sent("hello", lacks=("Expect: 100-continue",)),
        {
            "continue": line(b"Expect: 100-continue\r\n" + _FIVE, b"hello"),
            "continue-in-mixed-case": line(b"Expect: 100-Continue\r\n" + _FIVE, b"hello"),
            "continue-chunked": line(b"Expect: 100-continue\r\n" + CHUNKED, HELLO),
        },
    )
    + each(sent(), {"continue-without-a-body": line(b"Expect: 100-continue\r\n" + _NONE)})
    + each(
        Expected(End.REFUSED, status=(417,)),
        {
            "other": line(b"Expect: 200-ok\r\n" + _FIVE, b"hello"),
            "list": line(b"Expect: 100-continue, 200-ok\r\n" + _FIVE, b"hello"),
            "parameter": line(b"Expect: 100-continue;a=b\r\n" + _FIVE, b"hello"),
            "twice-other-last": line(b"Expect: 100-continue\r\nExpect: x\r\n" + _FIVE, b"hello"),
        },
    )
    + each(
        Expected(End.PERHAPS, status=(417,)),
        {"other-then-a-request": line(b"Expect: x\r\n" + _NONE) + good(2)},
    ),
)

TUNNELS = Class(
    "tunnels",
    "B20 B21 B22 B24",
    "CONNECT to what is no host and port, or with a body, or inside of another",
    each(
        REFUSED,
        {
            name: b"CONNECT %s HTTP/1.1\r\n" % target + HOST + b"\r\n"
            for name, target in {
                "no-port": b"127.0.0.1",
                "empty-port": b"127.0.0.1:",
                "port-zero": b"127.0.0.1:0",
                "port-too-large": b"127.0.0.1:65536",
                "port-a-word": b"127.0.0.1:http",
                "port-signed": b"127.0.0.1:+80",
                "user": b"user@@host@",
                "path": b"@host@/@1@",
                "url": b"http://@host@/@1@",
                "origin-form": b"/@1@",
                "asterisk": b"*",
                "no-host": b":443",
                "open-bracket": b"[::1:443",
                "decimal-address": b"2130706433:443",
                "two-hosts": b"@host@,127.0.0.1:1",
                "control": b"127.0.0.1\x01:443",
            }.items()
        }
        | {
            "length": b"CONNECT @host@ HTTP/1.1\r\n" + HOST + _FIVE + b"\r\nhello",
            "length-zero": b"CONNECT @host@ HTTP/1.1\r\n" + HOST + _NONE + b"\r\n",
            "coding": b"CONNECT @host@ HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + HELLO,
            "no-host-header": b"CONNECT @host@ HTTP/1.1\r\n\r\n",
        },
    )
    + each(UNSUPPORTED, {"lower-case": b"connect @host@ HTTP/1.1\r\n" + HOST + b"\r\n"}),
)

CUTS = Class(
    "half-requests",
    "B41",
    "The client leaves in the middle: half a message is no message (RFC 9112 §8)",
    each(
        CUT,
        {
            "first-line": b"POST @base@/@1@ HT",
            "head": b"POST @base@/@1@ HTTP/1.1\r\n" + HOST,
            "head-but-its-last-byte": line(_NONE)[:-1],
            "length": line(_FIVE, b"hell"),
            "length-and-nothing": line(_FIVE),
            "chunk-size": line(CHUNKED, b"5"),
            "chunk": line(CHUNKED, b"5\r\nhel"),
            "chunk-end": line(CHUNKED, b"5\r\nhello"),
            "no-last-chunk": line(CHUNKED, b"5\r\nhello\r\n"),
            "last-chunk-without-its-end": line(CHUNKED, b"5\r\nhello\r\n0\r\n"),
            "trailers": line(CHUNKED, b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n"),
            "length-that-takes-the-next-request": line(b"Content-Length: 1000\r\n", HIDDEN),
            "chunk-larger-than-any-memory": line(CHUNKED, b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
            "waits-for-leave": line(b"Expect: 100-continue\r\n" + _FIVE),
            "nothing": b"",
            "a-byte": b"P",
        },
    ),
)

CLASSES = (PIPELINES, PROTOCOLS, UPGRADES, EXPECTATIONS, TUNNELS, CUTS)
