"""Answers of upstreams that two readers read differently, or that poison what comes behind them."""

from __future__ import annotations

from collections.abc import Mapping

from security.answers import AnswerClass, HostileAnswer, Taken

OK = b"HTTP/1.1 200 OK\r\n"
TWO = b"Content-Length: 2\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"
POISON = OK + b"Content-Length: 6\r\nX-Poison: 1\r\n\r\npoison"
_HEAD = ("HEAD",)


def _answer(lines: bytes = TWO, body: bytes = b"ok", *, first: bytes = OK) -> bytes:
    return first + lines + b"\r\n" + body


def _chunks(body: bytes, lines: bytes = b"") -> bytes:
    return _answer(lines + CHUNKED, body)


def _each(
    taken: Taken | None,
    answers: Mapping[str, bytes],
    *,
    closes: bool = False,
    methods: tuple[str, ...] = ("POST", "GET"),
) -> tuple[HostileAnswer, ...]:
    return tuple(HostileAnswer(name, raw, taken, closes, methods) for name, raw in answers.items())


FRAMING = AnswerClass(
    "framing",
    "B46",
    "Where the body ends is told twice, or not so that all understand it",
    _each(
        None,
        {
            "length-and-coding": _answer(TWO + CHUNKED, b"2\r\nok\r\n" + END),
            "coding-and-length": _answer(CHUNKED + TWO, b"2\r\nok\r\n" + END),
            "length-hides-an-answer": _answer(b"Content-Length: 5\r\n" + CHUNKED, END + POISON),
            "two-lengths": _answer(TWO + TWO),
            "two-other-lengths": _answer(TWO + b"Content-Length: 100\r\n", b"ok" + POISON),
            "list-of-lengths": _answer(b"Content-Length: 2, 2\r\n"),
            "length-plus": _answer(b"Content-Length: +2\r\n"),
            "length-minus": _answer(b"Content-Length: -2\r\n"),
            "length-hexadecimal": _answer(b"Content-Length: 0x2\r\n"),
            "length-underscore": _answer(b"Content-Length: 0_2\r\n"),
            "length-two-numbers": _answer(b"Content-Length: 2 2\r\n"),
            "length-point": _answer(b"Content-Length: 2.0\r\n"),
            "length-letter": _answer(b"Content-Length: 2k\r\n"),
            "length-2-to-the-64-and-2": _answer(b"Content-Length: 18446744073709551618\r\n"),
            "length-space-before-colon": _answer(b"Content-Length : 2\r\n"),
            "length-folded": _answer(b"Content-Length:\r\n 2\r\n"),
            "coding-twice": _answer(CHUNKED + CHUNKED, b"2\r\nok\r\n" + END),
            "coding-gzip": _answer(b"Transfer-Encoding: gzip\r\n"),
            "coding-gzip-chunked": _answer(b"Transfer-Encoding: gzip, chunked\r\n", b"2\r\nok\r\n" + END),
            "coding-chunked-gzip": _answer(b"Transfer-Encoding: chunked, gzip\r\n", b"2\r\nok\r\n" + END),
            "coding-x": _answer(b"Transfer-Encoding: xchunked\r\n", b"2\r\nok\r\n" + END),
            "coding-identity": _answer(b"Transfer-Encoding: identity\r\n" + TWO),
            "coding-vertical-tab": _answer(b"Transfer-Encoding: \x0bchunked\r\n", b"2\r\nok\r\n" + END),
            "coding-space-before-colon": _answer(b"Transfer-Encoding : chunked\r\n", b"2\r\nok\r\n" + END),
            "coding-in-http-1.0": _answer(CHUNKED, b"2\r\nok\r\n" + END, first=b"HTTP/1.0 200 OK\r\n"),
        },
    )
    + _each(Taken(), {"length": _answer(), "chunks": _chunks(b"2\r\nok\r\n" + END)})
    + _each(Taken(), {"until-the-end": _answer(b"")}, closes=True),
)

CHUNKS = AnswerClass(
    "chunks",
    "B46 F23",
    "Chunks whose size or end is none",
    _each(
        None,
        {
            "prefix": _chunks(b"0x2\r\nok\r\n" + END),
            "plus": _chunks(b"+2\r\nok\r\n" + END),
            "minus": _chunks(b"-2\r\nok\r\n" + END),
            "space-before": _chunks(b" 2\r\nok\r\n" + END),
            "underscore": _chunks(b"0_2\r\nok\r\n" + END),
            "empty": _chunks(b"\r\nok\r\n" + END),
            "letter": _chunks(b"2g\r\nok\r\n" + END),
            "2-to-the-64-and-2": _chunks(b"10000000000000002\r\nok\r\n" + END),
            "size-too-small": _chunks(b"1\r\nok\r\n" + END),
            "end-is-a-line-feed": _chunks(b"2\r\nok\n" + END),
            "size-ends-with-a-line-feed": _chunks(b"2\nok\r\n" + END),
            "line-feed-in-extension": _chunks(b"2;a\nok\r\n" + END),
            "nul-in-extension": _chunks(b"2;\0\r\nok\r\n" + END),
            "junk-behind-the-last": _chunks(b"2\r\nok\r\n0\r\nX\r\n\r\n"),
            "answer-for-a-chunk": _chunks(POISON),
            "bad-trailer": _chunks(b"2\r\nok\r\n0\r\nX : 1\r\n\r\n"),
        },
    )
    + _each(
        None,
        {
            "cut-in-a-size": _chunks(b"2"),
            "cut-in-a-chunk": _chunks(b"5\r\nok"),
            "cut-behind-a-chunk": _chunks(b"2\r\nok\r\n"),
            "cut-in-the-last": _chunks(b"2\r\nok\r\n0\r\n"),
            "cut-in-a-length": _answer(b"Content-Length: 3\r\n"),
            "cut-in-the-head": OK + TWO,
            "cut-in-the-status-line": b"HTTP/1.1 20",
            "nothing": b"",
        },
        closes=True,
    )
    + _each(
        Taken(lacks=("X-Sum: 1", "Content-Length: 9", "Set-Cookie: a=b", "Trailer: X-Sum")),
        {
            "extension": _chunks(b"2;a=b\r\nok\r\n" + END),
            "trailer": _chunks(b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", b"Trailer: X-Sum\r\n"),
            "trailer-that-sets-a-cookie": _chunks(b"2\r\nok\r\n0\r\nSet-Cookie: a=b\r\n\r\n"),
            "one-byte-each": _chunks(b"1\r\no\r\n1\r\nk\r\n" + END),
        },
    ),
)

LINES = AnswerClass(
    "lines",
    "B46 B47 B13",
    "What is no header line, or would be two for a client, or end the head too early",
    _each(
        None,
        {
            "line-feeds-alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
            "line-feed-behind-the-status": b"HTTP/1.1 200 OK\n" + TWO + b"\r\nok",
            "line-feed-hides-a-line": _answer(b"X-A: 1\nX-B: 2\r\n" + TWO),
            "line-feeds-hide-an-answer": _answer(b"X-A: 1\n\n" + POISON + b"\r\n" + TWO),
            "return-hides-a-line": _answer(b"X-A: 1\rX-B: 2\r\n" + TWO),
            "nul": _answer(b"X-A: a\0b\r\n" + TWO),
            "control": _answer(b"X-A: a\x01b\r\n" + TWO),
            "escape": _answer(b"X-A: \x1b[2J\r\n" + TWO),
            "delete": _answer(b"X-A: a\x7fb\r\n" + TWO),
            "folded": _answer(b"X-A: 1\r\n 2\r\n" + TWO),
            "folded-behind-a-line-feed": _answer(b"X-A: 1\n 2\r\n" + TWO),
            "space-first": OK + b" X-A: 1\r\n" + TWO + b"\r\nok",
            "space-before-colon": _answer(b"X-A : 1\r\n" + TWO),
            "no-colon": _answer(b"X-A\r\n" + TWO),
            "no-name": _answer(b": 1\r\n" + TWO),
            "eight-bit-name": _answer(b"X-\xff: 1\r\n" + TWO),
            "name-with-space": _answer(b"X A: 1\r\n" + TWO),
            "name-with-bracket": _answer(b"X(A): 1\r\n" + TWO),
            "nul-in-the-reason": _answer(first=b"HTTP/1.1 200 O\0K\r\n"),
            "escape-in-the-reason": _answer(first=b"HTTP/1.1 200 O\x1b[2JK\r\n"),
            "return-in-the-reason": _answer(first=b"HTTP/1.1 200 O\rK\r\n"),
            "head-too-large": _answer(b"X-A: " + b"x" * 9000 + b"\r\n" + TWO),
            "heads-too-large": _answer(b"X-A: 1\r\n" * 1200 + TWO),
        },
    )
    + _each(
        Taken(
            lacks=(
                "X-Foo: 1",
                "Keep-Alive: timeout=5",
                "Connection: X-Foo",
                "Onceproxy-Status: state=completed",
            )
        ),
        {
            "nominated": _answer(b"Connection: X-Foo\r\nX-Foo: 1\r\n" + TWO),
            "keep-alive": _answer(b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n" + TWO),
            "says-what-only-we-say": _answer(b"Onceproxy-Status: state=completed\r\n" + TWO),
            "eight-bit-value": _answer(b"X-A: caf\xe9\r\n" + TWO),
            "many": _answer(b"X-A: 1\r\n" * 200 + TWO),
            "nominates-its-length": _answer(b"Connection: Content-Length\r\n" + TWO),
        },
    ),
)

STATUS_LINES = AnswerClass(
    "status-lines",
    "B46",
    "What is no status line",
    _each(
        None,
        {
            "http-2.0": _answer(first=b"HTTP/2.0 200 OK\r\n"),
            "http-0.9": b"ok\r\n\r\n",
            "http-1.2": _answer(first=b"HTTP/1.2 200 OK\r\n"),
            "lower-case": _answer(first=b"http/1.1 200 OK\r\n"),
            "icy": _answer(first=b"ICY 200 OK\r\n"),
            "rtsp": _answer(first=b"RTSP/1.0 200 OK\r\n"),
            "no-status": _answer(first=b"HTTP/1.1\r\n"),
            "two-digits": _answer(first=b"HTTP/1.1 20 OK\r\n"),
            "four-digits": _answer(first=b"HTTP/1.1 2000 OK\r\n"),
            "below-100": _answer(first=b"HTTP/1.1 099 OK\r\n"),
            "letters": _answer(first=b"HTTP/1.1 2OO OK\r\n"),
            "minus": _answer(first=b"HTTP/1.1 -20 OK\r\n"),
            "space-first": _answer(first=b" HTTP/1.1 200 OK\r\n"),
            "two-spaces": _answer(first=b"HTTP/1.1  200 OK\r\n"),
            "a-request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "tls": b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n",
            "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
        },
    )
    + _each(
        Taken(),
        {
            "no-reason": _answer(first=b"HTTP/1.1 200\r\n"),
            "empty-reason": _answer(first=b"HTTP/1.1 200 \r\n"),
        },
    )
    + _each(Taken(299), {"unknown": _answer(first=b"HTTP/1.1 299 Whatever\r\n")}),
)

BODILESS = AnswerClass(
    "bodies-where-none-is",
    "B46",
    "Bytes behind a head that has no body: to some they are the next answer",
    _each(
        Taken(204, ""),
        {
            "204": _answer(b"", b"", first=b"HTTP/1.1 204 No Content\r\n"),
            "204-with-a-body": _answer(b"", b"ok", first=b"HTTP/1.1 204 No Content\r\n"),
            "204-with-an-answer": _answer(b"", POISON, first=b"HTTP/1.1 204 No Content\r\n"),
            "204-with-a-length": _answer(TWO, b"ok", first=b"HTTP/1.1 204 No Content\r\n"),
            "204-with-a-length-and-an-answer": _answer(TWO, POISON, first=b"HTTP/1.1 204 No Content\r\n"),
        },
    )
    + _each(
        None,
        {"204-with-chunks": _answer(CHUNKED, b"2\r\nok\r\n" + END, first=b"HTTP/1.1 204 No Content\r\n")},
    )
    + _each(
        Taken(304, ""),
        {
            "304-with-a-body": _answer(b"", b"ok", first=b"HTTP/1.1 304 Not Modified\r\n"),
            "304-with-a-length": _answer(TWO, b"ok", first=b"HTTP/1.1 304 Not Modified\r\n"),
            "304-with-an-answer": _answer(b"", POISON, first=b"HTTP/1.1 304 Not Modified\r\n"),
        },
    )
    + _each(
        Taken(200, ""),
        {
            "head-with-a-body": _answer(TWO, b"ok"),
            "head-with-an-answer": _answer(b"Content-Length: 0\r\n", POISON),
            "head-with-chunks": _answer(CHUNKED, b"2\r\nok\r\n" + END),
        },
        methods=_HEAD,
    ),
)

EXTRA = AnswerClass(
    "extra-bytes",
    "B46",
    "More than one answer to one request: the rest would be taken for the answer to the next",
    _each(
        Taken(),
        {
            "answer": _answer() + POISON,
            "two-answers": _answer() + POISON + POISON,
            "half-an-answer": _answer() + b"HTTP/1.1 200 OK\r\nContent-Le",
            "a-byte": _answer() + b"H",
            "junk": _answer(b"Content-Length: 2\r\n", b"okay then"),
            "interim": _answer() + b"HTTP/1.1 100 Continue\r\n\r\n",
            "line-ends": _answer() + b"\r\n\r\n",
            "line-ends-and-an-answer": _answer() + b"\r\n" + POISON,
            "behind-chunks": _chunks(b"2\r\nok\r\n" + END) + POISON,
            "behind-a-close": _answer(b"Connection: close\r\n" + TWO) + POISON,
            "in-http-1.0": _answer(first=b"HTTP/1.0 200 OK\r\n") + POISON,
            "in-http-1.0-kept-open": _answer(
                b"Connection: keep-alive\r\n" + TWO, first=b"HTTP/1.0 200 OK\r\n"
            )
            + POISON,
        },
    )
    + _each(Taken(200, ""), {"length-zero": _answer(b"Content-Length: 0\r\n", POISON)}),
)

INTERIM = AnswerClass(
    "interim-answers",
    "F25",
    "1xx before the answer, or instead of it",
    _each(
        Taken(lacks=("X-Hint: 1",)),
        {
            "100": b"HTTP/1.1 100 Continue\r\n\r\n" + _answer(),
            "102": b"HTTP/1.1 102 Processing\r\n\r\n" + _answer(),
            "103-three-times": b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n" * 3 + _answer(),
            "199": b"HTTP/1.1 199 Whatever\r\n\r\n" + _answer(),
            "100-without-reason": b"HTTP/1.1 100\r\n\r\n" + _answer(),
        },
    )
    + _each(
        None,
        {
            "with-a-length": b"HTTP/1.1 100 Continue\r\n" + TWO + b"\r\nok" + _answer(),
            "with-chunks": b"HTTP/1.1 103 Early Hints\r\n" + CHUNKED + b"\r\n" + END + _answer(),
            "101-unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
            + _answer(),
            "101-without-a-protocol": b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + _answer(),
            "flood": b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\n\r\n" * 400 + _answer(),
            "line-feed": b"HTTP/1.1 100 Continue\n\n" + _answer(),
            "junk-behind": b"HTTP/1.1 100 Continue\r\n\r\njunk" + _answer(),
        },
    )
    + _each(
        None,
        {
            "alone": b"HTTP/1.1 100 Continue\r\n\r\n",
            "many-alone": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10,
            "101-alone": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        },
        closes=True,
    ),
)

CLASSES = (FRAMING, CHUNKS, LINES, STATUS_LINES, BODILESS, EXTRA, INTERIM)
