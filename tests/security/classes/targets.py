"""What is asked for, and of whom."""

from __future__ import annotations

from security.classes.building import HIDDEN, HOST, REFUSED, UNSUPPORTED, each, line, sent
from security.hostile import MOUNT, TUNNEL, Class, End, Expected, Hostile

_NONE = b"Content-Length: 0\r\n"
_FIRST = b"POST @base@/@1@ HTTP/1.1"


def _host(lines: bytes) -> bytes:
    return line(_NONE, host=lines)


def _to(target: bytes) -> bytes:
    return line(_NONE, target=target)


HOSTS = Class(
    "hosts",
    "B15 B16 B24",
    "Which host is meant: the Host header must be there once, and the target wins over it",
    each(
        REFUSED,
        {
            "none": _host(b""),
            "twice": _host(HOST + HOST),
            "twice-other": _host(HOST + b"Host: other.example\r\n"),
            "other-before": _host(b"Host: other.example\r\n" + HOST),
            "twice-in-two-cases": _host(HOST + b"hOsT: @host@\r\n"),
            "three": _host(HOST * 3),
            "space-before-colon": _host(b"Host : @host@\r\n"),
            "none-on-a-get": line(method=b"GET", host=b""),
        },
    )
    # Outside a tunnel the target says where it goes, and what a Host says is of no account (RFC 9112 §3.2.2).
    + each(
        sent(),
        {
            "other": _host(b"Host: other.example\r\n"),
            "other-port": _host(b"Host: 127.0.0.1:1\r\n"),
            "internal": _host(b"Host: 169.254.169.254\r\n"),
            "port-too-large": _host(b"Host: 127.0.0.1:65536\r\n"),
            "empty-label": _host(b"Host: a..example\r\n"),
        },
        tunnel=REFUSED,
    )
    + each(sent(), {"as-a-forwarded-one": line(_NONE + b"X-Forwarded-Host: other.example\r\n")})
    + each(
        Expected(End.CLOSED, sent().sent),
        {"none-in-http-1.0": line(_NONE, host=b"", version=b"HTTP/1.0")},
    ),
)

BAD_HOSTS = Class(
    "bad-hosts",
    "B15",
    "A Host that is no host and port: some would find another one in it",
    each(
        REFUSED,
        {
            "spaces": _host(b"Host: a b\r\n"),
            "user": _host(b"Host: user@@host@\r\n"),
            "path": _host(b"Host: @host@/path\r\n"),
            "list": _host(b"Host: @host@, other.example\r\n"),
            "query": _host(b"Host: @host@?a\r\n"),
            "fragment": _host(b"Host: @host@#a\r\n"),
            "port-that-is-none": _host(b"Host: 127.0.0.1:http\r\n"),
            "two-ports": _host(b"Host: 127.0.0.1:1:2\r\n"),
            "open-bracket": _host(b"Host: [::1\r\n"),
            "scheme": _host(b"Host: http://@host@\r\n"),
            "eight-bit": _host(b"Host: caf\xe9.example\r\n"),
            "backslash": _host(b"Host: @host@\\other.example\r\n"),
        },
    ),
)

_ABSOLUTE = {
    "user": b"http://user@@host@/@1@",
    "user-and-password": b"http://user:secret@@host@/@1@",
    "empty-user": b"http://@@host@/@1@",
    "host-as-user": b"http://@host@@other.example/@1@",
    "fragment": b"http://@host@/@1@#part",
    "fragment-hides-a-host": b"http://@host@#@other.example/@1@",
    "ftp": b"ftp://@host@/@1@",
    "file": b"file:///etc/passwd?@1@",
    "gopher": b"gopher://@host@/@1@",
    "websocket": b"ws://@host@/@1@",
    "no-slashes": b"http:@host@/@1@",
    "one-slash": b"http:/@host@/@1@",
    "three-slashes": b"http:///@host@/@1@",
    "backslashes": b"http:\\\\@host@/@1@",
    "backslash-ends-the-host": b"http://@host@\\@other.example/@1@",
    "no-host": b"http://?@1@",
    "only-a-port": b"http://:80/@1@",
    "port-zero": b"http://127.0.0.1:0/@1@",
    "port-too-large": b"http://127.0.0.1:65536/@1@",
    "port-empty": b"http://127.0.0.1:/@1@",
    "port-negative": b"http://127.0.0.1:-80/@1@",
    "port-signed": b"http://127.0.0.1:+80/@1@",
    "port-a-word": b"http://127.0.0.1:http/@1@",
    "decimal-address": b"http://2130706433/@1@",
    "hexadecimal-address": b"http://0x7f000001/@1@",
    "octal-address": b"http://0177.0.0.1/@1@",
    "short-address": b"http://127.1/@1@",
    "bad-address": b"http://[::1/@1@",
    "zone": b"http://[fe80::1%25eth0]/@1@",
    "empty-label": b"http://a..b/@1@",
    "escape-in-host": b"http://127.0.0.1%2f@host@/@1@",
    "eight-bit-host": b"http://caf\xe9.example/@1@",
    "space": b"http://@host@/a b@1@",
    "no-scheme": b"@host@/@1@",
    "scheme-relative-word": b"x/@1@",
}

ABSOLUTE = Class(
    "absolute-targets",
    "B17 B18 B20",
    "A target with a host in it, which is not the host that another parser finds",
    each(REFUSED, {name: _to(target) for name, target in _ABSOLUTE.items()}),
)

_NOBODYS = {
    "origin-form-without-a-mount": b"/nowhere/@1@",
    "prefix-of-a-mount-only": b"/mountains/@1@",
    "mount-under-an-escape": b"/%6dount/@1@",
    "mount-in-upper-case": b"/MOUNT/@1@",
    "mount-behind-two-slashes": b"//mount/@1@",
}

_AS_THEY_ARE = {
    "escaped-slash": b"/a%2f@1@",
    "escaped-nul": b"/@1@%00",
    "escaped-line-end": b"/@1@%0d%0aX:%201",
    "bad-escape": b"/@1@%zz",
    "two-slashes": b"//@1@",
    "a-host-behind-two-slashes": b"//other.example/@1@",
    "a-url-in-the-path": b"/http://other.example/@1@",
    "backslashes": b"/\\other.example\\@1@",
    "semicolon": b"/@1@;a=b",
    "quotes": b'/@1@"<>',
    "query-only": b"/?@1@",
    "query-with-a-url": b"/@1@?u=http://other.example/?a=b&c=d",
    "question-marks": b"/@1@??",
}

RELATIVE = Class(
    "relative-targets",
    "B19 B31",
    "A target without a host: nobody's on the forward port, and passed on as it is elsewhere",
    tuple(
        Hostile(name, _to(path), REFUSED, {TUNNEL: sent(target=path.decode())})
        for name, path in _NOBODYS.items()
    )
    + tuple(
        Hostile(name, _to(b"@base@" + path), sent(target=path.decode("latin-1")))
        for name, path in _AS_THEY_ARE.items()
    )
    + each(
        REFUSED,
        {
            "dots": _to(b"@base@/../@1@"),
            "one-dot": _to(b"@base@/./@1@"),
            "dots-at-the-end": _to(b"@base@/@1@/.."),
            "escaped-dots": _to(b"@base@/%2e%2e/@1@"),
            "dots-with-parameters": _to(b"@base@/..;a=b/@1@"),
            "mount-under-a-dot": _to(b"/./mount/@1@"),
            "asterisk": _to(b"*"),
            "a-word": _to(b"@1@"),
            "empty": _to(b""),
            "fragment": _to(b"@base@/@1@#part"),
            "empty-fragment": _to(b"@base@/@1@#"),
            "space": _to(b"@base@/@1@ x"),
            "spaces": _to(b"@base@/@1@  x"),
            "eight-bit": _to(b"@base@/@1@\xff"),
            "utf-8": _to("@base@/@1@é".encode()),
        },
    )
    + (
        Hostile(
            "options-of-all",
            line(b"X-A: @1@\r\n", method=b"OPTIONS", target=b"@base@"),
            sent(method="OPTIONS", target="*"),
            {TUNNEL: REFUSED, MOUNT: sent(method="OPTIONS", target="/")},
        ),
    ),
)

FIRST_LINES = Class(
    "request-lines",
    "B32 B44",
    "A first line that is none, or that has more in it than a method, a target and a version",
    each(
        Expected(End.REFUSED, status=(400, 505)),
        {
            "no-version": b"POST @base@/@1@\r\n" + HOST + b"\r\n",
            "version-0.9": line(_NONE, version=b"HTTP/0.9"),
            "version-1": line(_NONE, version=b"HTTP/1"),
            "version-1.2": line(_NONE, version=b"HTTP/1.2"),
            "version-1.10": line(_NONE, version=b"HTTP/1.10"),
            "version-01.1": line(_NONE, version=b"HTTP/01.1"),
            "version-2.0": line(_NONE, version=b"HTTP/2.0"),
            "version-3.0": line(_NONE, version=b"HTTP/3.0"),
            "version-9.9": line(_NONE, version=b"HTTP/9.9"),
            "version-with-comma": line(_NONE, version=b"HTTP/1,1"),
            "version-with-space": line(_NONE, version=b"HTTP /1.1"),
            "version-in-lower-case": line(_NONE, version=b"http/1.1"),
            "icecast": line(_NONE, version=b"ICE/1.0"),
            "no-slash": line(_NONE, version=b"HTTP1.1"),
            "words-behind": line(_NONE, version=b"HTTP/1.1 x"),
            "space-behind": line(_NONE, version=b"HTTP/1.1 "),
            "version-twice": line(_NONE, version=b"HTTP/1.1 HTTP/1.1"),
            "two-targets": line(_NONE, target=b"@base@/@1@ @base@/@2@"),
            "tab-before-the-target": b"POST\t@base@/@1@ HTTP/1.1\r\n" + HOST + _NONE + b"\r\n",
            "tab-behind-the-target": b"POST @base@/@1@\tHTTP/1.1\r\n" + HOST + _NONE + b"\r\n",
            "no-break-space": b"POST\xa0@base@/@1@\xa0HTTP/1.1\r\n" + HOST + _NONE + b"\r\n",
            "space-first": b" " + line(_NONE),
            "tab-first": b"\t" + line(_NONE),
            "no-method": b" @base@/@1@ HTTP/1.1\r\n" + HOST + _NONE + b"\r\n",
            "only-a-method": b"POST\r\n" + HOST + b"\r\n",
            "method-with-colon": line(_NONE, method=b"POST:"),
            "method-in-quotes": line(_NONE, method=b'"POST"'),
            "method-with-slash": line(_NONE, method=b"PO/ST"),
            "method-eight-bit": line(_NONE, method=b"P\xd6ST"),
            "an-answer": b"HTTP/1.1 200 OK\r\n" + HOST + b"\r\n",
            "a-header-first": HOST + _FIRST + b"\r\n" + _NONE + b"\r\n",
            "byte-order-mark": b"\xef\xbb\xbf" + line(_NONE),
        },
    )
    + each(
        UNSUPPORTED,
        {
            "method-in-lower-case": line(_NONE, method=b"post"),
            "method-in-mixed-case": line(_NONE, method=b"Post"),
        },
    )
    # The parser is lenient here, as RFC 9112 §3 lets it be. What goes upstream is written anew.
    + each(
        sent(),
        {
            "two-spaces-before-the-target": b"POST  @base@/@1@ HTTP/1.1\r\n" + HOST + _NONE + b"\r\n",
            "two-spaces-behind-the-target": line(_NONE, version=b" HTTP/1.1"),
        },
    )
    + each(
        Expected(End.CLOSED, sent().sent),
        {"another-protocol-is-taken-for-http-1.0": line(_NONE, version=b"RTSP/1.0")},
    ),
)

METHODS = Class(
    "methods",
    "B32",
    "A body on a method that has none, and methods that not all know",
    tuple(
        Hostile(
            f"{method.lower()}-with-a-body",
            line(b"Content-Length: 5\r\n", b"hello", method=method.encode()),
            sent("hello", method=method),
        )
        for method in ("GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "PROPFIND", "LOCK", "MKCOL")
    )
    + tuple(
        Hostile(
            f"{method.lower()}-with-a-request-for-a-body",
            line(b"Content-Length: @length@\r\n", b"@<" + HIDDEN + b"@>", method=method.encode()),
            sent(HIDDEN.decode(), method=method),
        )
        for method in ("GET", "DELETE", "POST")
    )
    + each(Expected(End.REFUSED, status=(400, 405, 501)), {"tunnel": line(_NONE, method=b"CONNECT")}),
)

CLASSES = (HOSTS, BAD_HOSTS, ABSOLUTE, RELATIVE, FIRST_LINES, METHODS)
