"""What goes out is what was asked for: no header, cookie, coding, redirect or proxy of the client's own."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from integration.upstream.conftest import a_request, origin_of, yes
from onceproxy.upstream.client import UpstreamClient
from upstreams import Upstream, answer

PROXY_VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@pytest.mark.parametrize(
    ("method", "body", "framing"),
    [
        ("POST", b"a=1", b"Content-Length: 3\r\n"),
        ("POST", b"", b"Content-Length: 0\r\n"),
        ("PUT", b"", b"Content-Length: 0\r\n"),
        ("PATCH", b"", b"Content-Length: 0\r\n"),
        ("DELETE", b"", b""),
        ("DELETE", b"a=1", b"Content-Length: 3\r\n"),
    ],
)
async def test_the_bytes_of_a_request(
    client: UpstreamClient, upstream: Upstream, method: str, body: bytes, framing: bytes
) -> None:
    headers = ((b"x-LOWER", b"1"), (b"X-Twice", b"a"), (b"X-Twice", b"b"), (b"X-Bytes", b"caf\xe9"))
    await client.send(a_request(origin_of(upstream), method, body, b"/a/../b?q=%41&q=a", headers), yes)

    lines = b"x-LOWER: 1\r\nX-Twice: a\r\nX-Twice: b\r\nX-Bytes: caf\xe9\r\n"
    host = b"Host: 127.0.0.1:%d\r\n" % upstream.port
    (seen,) = upstream.requests
    assert seen.raw == b"%s /a/../b?q=%%41&q=a HTTP/1.1\r\n%s%s%s\r\n" % (
        method.encode(),
        host,
        lines,
        framing,
    )
    assert seen.body == body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_the_answer(client: UpstreamClient, upstream: Upstream, status: int) -> None:
    async with Upstream() as other:
        upstream.will(answer(status, headers=(("Location", f"{other.url}/elsewhere"),)))

        attempt = await client.send(a_request(origin_of(upstream)), yes)

        assert attempt.status == status
        assert attempt.response is not None
        assert (b"Location", f"{other.url}/elsewhere".encode()) in attempt.response.headers
        assert (upstream.executions, other.executions) == (1, 0)


async def test_a_coding_stays_on(client: UpstreamClient, upstream: Upstream) -> None:
    packed = gzip.compress(b"content", mtime=0)
    upstream.will(answer(body=packed, headers=(("Content-Encoding", "gzip"),)))

    attempt = await client.send(a_request(origin_of(upstream)), yes)

    assert attempt.response is not None
    assert attempt.response.body.read() == packed
    assert (b"Content-Encoding", b"gzip") in attempt.response.headers


async def test_what_is_said_to_be_coded_and_is_not_goes_through(
    client: UpstreamClient, upstream: Upstream
) -> None:
    upstream.will(answer(body=b"not gzip", headers=(("Content-Encoding", "gzip"),)))

    attempt = await client.send(a_request(origin_of(upstream)), yes)

    assert attempt.response is not None
    assert attempt.response.body.read() == b"not gzip"


async def test_cookies_are_not_kept(client: UpstreamClient, upstream: Upstream) -> None:
    upstream.will(answer(headers=(("Set-Cookie", "session=one; Path=/"),)))
    first = await client.send(a_request(origin_of(upstream)), yes)
    await client.send(a_request(origin_of(upstream)), yes)

    assert first.response is not None
    assert (b"Set-Cookie", b"session=one; Path=/") in first.response.headers
    assert upstream.requests[1].all("cookie") == []


async def test_the_environment_s_proxies_are_not_used(
    client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Upstream() as proxy:
        for name in PROXY_VARIABLES:
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)

        await client.send(a_request(origin_of(upstream)), yes)
        await (await client.open(a_request(origin_of(upstream), "GET", b""))).aclose()

        assert (len(upstream.requests), proxy.connections) == (2, 0)


async def test_a_login_of_the_environment_is_not_used(
    client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(netrc.parent))

    await client.send(a_request(origin_of(upstream)), yes)

    assert upstream.requests[0].all("authorization") == []


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (b"/a b", ()),
        (b"/a\r\nX-Evil: 1", ()),
        (b"/", ((b"X-A", b"1\r\nX-Evil: 1"),)),
        (b"/", ((b"X-A\n", b"1"),)),
        (b"/", ((b"X-A", b"a\0b"),)),
    ],
)
async def test_what_would_end_a_request_early_is_not_sent(
    client: UpstreamClient, upstream: Upstream, target: bytes, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    with pytest.raises(ValueError, match="end it early"):
        await client.send(a_request(origin_of(upstream), target=target, headers=headers), yes)

    assert upstream.connections == 0
