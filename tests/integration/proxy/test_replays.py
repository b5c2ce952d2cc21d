"""Replays: the upstream's own bytes, also after a restart."""

from __future__ import annotations

import asyncio
import gzip
import hashlib

import pytest

from integration.proxy.conftest import StartProxy
from onceproxy.serve import Proxy
from raw_client import Reply, a_request, ask, post
from upstreams import Upstream, answer, hang, raw

OURS = ("Onceproxy-Request-Id", "Onceproxy-Status", "Idempotency-Replayed", "Via")


def without_ours(reply: Reply) -> tuple[tuple[str, str], ...]:
    return tuple(line for line in reply.headers if line[0] not in OURS)


async def pay_twice(proxy: Proxy, upstream: Upstream, method: str = "POST") -> tuple[Reply, Reply]:
    request = a_request(method, f"{upstream.url}/pay", body=b"1")
    first, again = await ask(proxy.url, request), await ask(proxy.url, request)
    assert upstream.executions == 1
    assert not first.replayed
    assert again.replayed
    return first, again


async def test_status_reason_and_headers_are_the_same_bytes(proxy: Proxy, upstream: Upstream) -> None:
    headers = (
        ("X-Second", "2"),
        ("x-first", "1"),
        ("ETAG", 'W/"a"'),
        ("X-Second", "another, with commas"),
        ("Date", "Tue, 15 Nov 1994 08:12:31 GMT"),
        ("Server", "theirs/1.0"),
        ("X-Latin", "caf\xe9"),
        ("X-Empty", ""),
        ("Retry-After", "3"),
    )
    upstream.will(answer(299, b"body", headers, reason="Rather  Good (caf\xe9)"))

    first, again = await pay_twice(proxy, upstream)

    assert (again.status, again.reason) == (299, "Rather  Good (caf\xe9)")
    assert without_ours(again) == without_ours(first) == (*headers, ("Content-Length", "4"))
    assert again.own == first.own


@pytest.mark.parametrize("line", [b"HTTP/1.1 201 \r\n", b"HTTP/1.1 201\r\n", b"HTTP/1.0 201 OK\r\n"])
async def test_an_empty_reason_or_an_old_version_is_no_matter(
    proxy: Proxy, upstream: Upstream, line: bytes
) -> None:
    upstream.will(raw(line + b"Content-Length: 2\r\n\r\nok"))

    first, again = await pay_twice(proxy, upstream)

    assert again.head.startswith(b"HTTP/1.1 201 ")
    assert again.own == first.own
    assert again.body == b"ok"


async def test_a_coded_body_is_neither_decoded_nor_coded_again(proxy: Proxy, upstream: Upstream) -> None:
    coded = gzip.compress(b"a" * 10_000, mtime=0)
    upstream.will(answer(200, coded, (("Content-Encoding", "gzip"), ("Content-Type", "text/plain"))))

    first, again = await pay_twice(proxy, upstream)

    assert first.body == again.body == coded
    assert again.one("Content-Encoding") == "gzip"
    assert again.one("Content-Length") == str(len(coded))


async def test_a_body_that_only_says_it_is_coded_is_left_alone(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(200, b"not gzip at all", (("Content-Encoding", "gzip"),)))

    first, again = await pay_twice(proxy, upstream)

    assert first.body == again.body == b"not gzip at all"


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n", b""])
async def test_a_body_without_a_length_is_whole(proxy: Proxy, upstream: Upstream, framing: bytes) -> None:
    body = b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n" if framing else b"hello world"
    upstream.will(raw(b"HTTP/1.1 201 Made\r\n" + framing + b"X-A: 1\r\n\r\n" + body))

    first, again = await pay_twice(proxy, upstream)

    assert first.body == again.body == b"hello world"
    assert first.all("X-Trailer") == []
    assert again.own == first.own


@pytest.mark.parametrize("status", [200, 204, 304])
async def test_an_empty_body_is_empty(proxy: Proxy, upstream: Upstream, status: int) -> None:
    upstream.will(answer(status, b"", (("X-A", "1"),)))

    first, again = await pay_twice(proxy, upstream)

    assert first.body == again.body == b""
    assert again.own == first.own
    assert again.all("Transfer-Encoding") == []
    assert again.all("Content-Length") == (["0"] if status == 200 else [])


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 3_000_000])
async def test_a_large_body_is_whole(proxy: Proxy, upstream: Upstream, size: int) -> None:
    body = bytes(n % 251 for n in range(size))
    upstream.will(answer(200, body))

    first, again = await pay_twice(proxy, upstream)

    assert first.body == again.body == body


async def test_what_is_between_upstream_and_proxy_stays_there(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(
        answer(
            201,
            b"x",
            (
                ("Connection", "keep-alive, X-Hop"),
                ("Keep-Alive", "timeout=5"),
                ("X-Hop", "1"),
                ("Proxy-Authenticate", "Basic"),
                ("Trailer", "X-T"),
                ("X-Kept", "1"),
            ),
        )
    )
    first, again = await pay_twice(proxy, upstream)

    assert without_ours(first) == without_ours(again) == (("X-Kept", "1"), ("Content-Length", "1"))


async def test_a_cookie_is_set_by_the_first_answer_only(proxy: Proxy, upstream: Upstream) -> None:
    cookies = (("Set-Cookie", "a=1; HttpOnly"), ("set-cookie", "b=2"))
    upstream.will(answer(201, b"x", (*cookies, ("X-Kept", "1"))))

    first, again = await pay_twice(proxy, upstream)

    assert without_ours(first) == (*cookies, ("X-Kept", "1"), ("Content-Length", "1"))
    assert without_ours(again) == (("X-Kept", "1"), ("Content-Length", "1"))


async def test_an_upstream_can_not_speak_of_receipts(proxy: Proxy, upstream: Upstream) -> None:
    lies = (("Onceproxy-Status", "state=completed"), ("onceproxy-request-id", "oid_x"))
    upstream.will(answer(500, b"x", lies))

    reply = await post(proxy.url, f"{upstream.url}/pay")

    assert reply.told["state"] == "in_doubt"
    assert reply.one("Onceproxy-Request-Id") != "oid_x"


async def test_a_mark_of_the_upstreams_own_replay_is_not_taken_for_ours(
    proxy: Proxy, upstream: Upstream
) -> None:
    """Stripe marks its own replays so. That mark is the upstream's word, and ours is there once."""
    upstream.will(answer(201, b"x", (("Idempotency-Replayed", "true"),)))

    first = await post(proxy.url, f"{upstream.url}/pay")
    again = await post(proxy.url, f"{upstream.url}/pay")

    assert first.all("Idempotency-Replayed") == ["true"]
    assert again.all("Idempotency-Replayed") == ["true"]


async def test_an_answer_to_an_old_client_is_replayed_to_a_new_one(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
    old = a_request("POST", f"{upstream.url}/pay", body=b"1", version="HTTP/1.0")

    first = await ask(proxy.url, old)
    again = await ask(proxy.url, a_request("POST", f"{upstream.url}/pay", body=b"1"))

    assert again.replayed
    assert first.body == again.body == b"ok"


async def test_receipts_outlive_the_proxy(start_proxy: StartProxy, upstream: Upstream) -> None:
    headers = (("X-B", "2"), ("x-a", "1"), ("X-B", "3"), ("Content-Encoding", "br"))
    body = bytes(range(256)) * 1000
    upstream.will(answer(201, body, headers, reason="Made It"))
    one = await start_proxy()
    first = await post(one.url, f"{upstream.url}/pay", "Idempotency-Key: k", "Authorization: Bearer t")
    await one.stop()

    other = await start_proxy()
    again = await post(other.url, f"{upstream.url}/pay", "Idempotency-Key: k", "Authorization: Bearer t")

    assert again.replayed
    assert again.own == first.own
    assert without_ours(again) == (*headers, ("Content-Length", str(len(body))))
    assert upstream.executions == 1


async def test_doubt_outlives_the_proxy(start_proxy: StartProxy, upstream: Upstream) -> None:
    one = await start_proxy()
    upstream.will(answer(500))
    await post(one.url, f"{upstream.url}/pay")
    await one.stop()

    other = await start_proxy()
    assert (await post(other.url, f"{upstream.url}/pay")).slug == "outcome-unknown"
    assert upstream.executions == 1


async def test_what_a_stop_cuts_off_is_in_doubt(start_proxy: StartProxy, upstream: Upstream) -> None:
    one = await start_proxy()
    upstream.will(hang)
    cut = asyncio.ensure_future(post(one.url, f"{upstream.url}/pay"))
    await upstream.arrived(1)
    await one.stop(grace=0)
    assert ((await cut).status, (await cut).slug) == (503, "shutting-down")
    assert (await cut).told["state"] == "in_doubt"

    other = await start_proxy()
    assert (await post(other.url, f"{upstream.url}/pay")).slug == "outcome-unknown"
    assert upstream.executions == 1


async def test_an_answer_over_the_limit_is_given_once_and_described_afterwards(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(limits={"receipt_body": "1KiB"})
    upstream.will(answer(201, b"x" * 1025), answer(201, b"y" * 1024))

    first = await post(proxy.url, f"{upstream.url}/large")
    assert first.body == b"x" * 1025
    assert first.told["reason"] == "streaming"  # nobody else will get it, so it need not wait to be whole
    again = await post(proxy.url, f"{upstream.url}/large")
    assert (again.status, again.slug) == (409, "receipt-body-not-kept")
    problem = again.problem()
    assert (problem["upstream_status"], problem["body_size"]) == (201, 1025)
    assert problem["body_sha256"] == hashlib.sha256(b"x" * 1025).hexdigest()
    assert "Do not send it again" in problem["detail"]
    assert again.told["state"] == "completed"

    fits = await post(proxy.url, f"{upstream.url}/fits")
    assert (await post(proxy.url, f"{upstream.url}/fits")).own == fits.own
    assert upstream.executions == 2


async def test_a_receipt_that_ran_out_is_a_new_action(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(defaults={"ttl": "1ms"})

    await post(proxy.url, f"{upstream.url}/pay")
    while (again := await post(proxy.url, f"{upstream.url}/pay")).replayed:
        pass  # the millisecond is not over yet

    assert again.told == {"state": "completed", "attempt": 2, "reason": "status-201"}
    assert upstream.executions == 2
