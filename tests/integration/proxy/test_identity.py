"""Identity on the wire: which requests are copies of one action."""

from __future__ import annotations

import asyncio

import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.serve import Proxy
from raw_client import Reply, a_request, ask, post
from upstreams import Upstream, after, answer

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"


async def copies(proxy: Proxy, first: bytes, second: bytes) -> bool:
    """Say whether two requests are copies of one action."""
    one, other = await ask(proxy.url, first), await ask(proxy.url, second)
    assert (one.status, one.replayed) == (201, False)
    same = one.one("Onceproxy-Request-Id") == other.one("Onceproxy-Request-Id")
    assert other.status == 201
    assert other.replayed is same
    return same


@pytest.mark.parametrize(
    ("line", "one", "other"),
    [
        (JSON, b'{"amount": 100, "to": {"a": 1, "b": [1, 2]}}', b'{"to":{"b":[1,2],"a":1},\r\n"amount":1e2}'),
        (
            "Content-Type: application/vnd.x+json; charset=utf-8",
            b'{"a": "\\u00e9", "b": 1}',
            '{"b":1,"a":"é"}',
        ),
        (FORM, b"amount=100&to=a&to=b", b"to=b&amount=100&to=a"),
        (FORM, b"name=%61b", b"name=ab"),
    ],
)
async def test_bodies_that_say_the_same(
    proxy: Proxy, upstream: Upstream, line: str, one: bytes, other: bytes | str
) -> None:
    body = other.encode() if isinstance(other, str) else other
    url = f"{upstream.url}/pay"

    assert await copies(
        proxy, a_request("POST", url, line, body=one), a_request("POST", url, line, body=body)
    )
    assert upstream.executions == 1
    assert upstream.requests[0].body == one  # as it was sent, not in its canonical form


@pytest.mark.parametrize(
    ("line", "one", "other"),
    [
        (JSON, b'{"amount": 100}', b'{"amount": 101}'),
        (JSON, b'{"ids": [1, 2]}', b'{"ids": [2, 1]}'),
        (JSON, b'{"a": 1}', b'{"a": "1"}'),
        (JSON, b"{not json}", b"{not  json}"),
        (FORM, b"a=1&b=2", b"a=2&b=1"),
        ("Content-Type: text/plain", b'{"a": 1, "b": 2}', b'{"b": 2, "a": 1}'),
        ("Content-Encoding: gzip", b"one", b"other"),
    ],
)
async def test_bodies_that_do_not(
    proxy: Proxy, upstream: Upstream, line: str, one: bytes, other: bytes
) -> None:
    url = f"{upstream.url}/pay"

    assert not await copies(
        proxy, a_request("POST", url, line, body=one), a_request("POST", url, line, body=other)
    )
    assert upstream.executions == 2


async def test_method_host_path_and_query_are_part_of_it(proxy: Proxy, upstream: Upstream) -> None:
    base = f"{upstream.url}/pay?a=1&b=2"
    requests = [
        a_request("POST", base, body=b"x"),
        a_request("PUT", base, body=b"x"),
        a_request("POST", f"{upstream.url}/pay/?a=1&b=2", body=b"x"),
        a_request("POST", f"{upstream.url}/pay?a=1&b=3", body=b"x"),
        a_request("POST", base.replace("127.0.0.1", "localhost"), body=b"x"),
    ]
    ids = {(await ask(proxy.url, request)).one("Onceproxy-Request-Id") for request in requests}
    assert len(ids) == len(requests) == upstream.executions

    again = await ask(proxy.url, a_request("POST", f"{upstream.url}/p%61y?b=2&a=1", body=b"x"))
    assert again.replayed


async def test_a_chunked_body_is_the_same_as_one_with_a_length(proxy: Proxy, upstream: Upstream) -> None:
    url = f"{upstream.url}/pay"
    chunked = a_request("POST", url, "Transfer-Encoding: chunked") + b"1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n"

    assert await copies(proxy, a_request("POST", url, body=b"abc"), chunked)


async def test_headers_that_change_with_each_try_do_not_matter(proxy: Proxy, upstream: Upstream) -> None:
    url = f"{upstream.url}/pay"

    assert await copies(
        proxy,
        a_request("POST", url, "X-Request-Id: 1", "User-Agent: a", "traceparent: 00-1-2-3", body=b"x"),
        a_request("POST", url, "X-Request-Id: 2", "User-Agent: b", "x-stainless-retry-count: 1", body=b"x"),
    )


async def test_a_key_is_the_same_bare_and_quoted(proxy: Proxy, upstream: Upstream) -> None:
    url = f"{upstream.url}/pay"

    assert await copies(
        proxy,
        a_request("POST", url, "Idempotency-Key: k-1", body=b"x"),
        a_request("POST", url, 'idempotency-key:   "k-1"', body=b"x"),
    )
    assert upstream.requests[0].all("Idempotency-Key") == ["k-1"]


async def test_another_key_is_another_action(proxy: Proxy, upstream: Upstream) -> None:
    url = f"{upstream.url}/pay"

    assert not await copies(
        proxy,
        a_request("POST", url, "Idempotency-Key: k-1", body=b"x"),
        a_request("POST", url, "Idempotency-Key: K-1", body=b"x"),
    )
    assert not (await ask(proxy.url, a_request("POST", url, body=b"x"))).replayed  # nor is it one without


async def test_a_key_for_another_request_is_refused(proxy: Proxy, upstream: Upstream) -> None:
    key = "Idempotency-Key: k-1"
    first = await post(proxy.url, f"{upstream.url}/pay", key)
    for other in (
        a_request("POST", f"{upstream.url}/pay", key, body=b'{"amount": 999}'),
        a_request("POST", f"{upstream.url}/refund", key, body=b'{"amount": 100}'),
        a_request("PUT", f"{upstream.url}/pay", key, body=b'{"amount": 100}'),
    ):
        reply = await ask(proxy.url, other)
        assert (reply.status, reply.slug) == (422, "key-reused")
        assert "new key" in reply.problem()["detail"]
        assert reply.one("Onceproxy-Request-Id") == first.one("Onceproxy-Request-Id")

    again = await post(proxy.url, f"{upstream.url}/pay", key)
    assert again.replayed
    assert again.own == first.own
    assert upstream.executions == 1


async def test_a_key_for_another_request_is_refused_while_the_first_is_at_work(
    proxy: Proxy, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    key = "Idempotency-Key: k-1"
    first = asyncio.ensure_future(post(proxy.url, f"{upstream.url}/pay", key, body=b"1"))
    await upstream.arrived(1)

    other = await post(proxy.url, f"{upstream.url}/pay", key, body=b"2")
    assert (other.status, other.slug) == (422, "key-reused")

    gate.set()
    assert (await first).status == 201
    assert upstream.executions == 1


@pytest.mark.parametrize(
    "lines",
    [
        ("Idempotency-Key: a", "Idempotency-Key: a"),
        ("Idempotency-Key:",),
        ('Idempotency-Key: ""',),
        ('Idempotency-Key: "open',),
        ("Idempotency-Key: a b",),
        ("Idempotency-Key: caf\xe9",),
        (f"Idempotency-Key: {'k' * 256}",),
    ],
)
async def test_a_key_that_can_not_be_used(
    proxy: Proxy, upstream: Upstream, receipts: Receipts, lines: tuple[str, ...]
) -> None:
    reply = await post(proxy.url, f"{upstream.url}/pay", *lines)

    assert (reply.status, reply.slug) == (400, "bad-key")
    assert "Idempotency-Key" in reply.problem()["detail"]
    assert upstream.requests == []
    assert await receipts() == []


async def test_each_user_has_actions_of_their_own(proxy: Proxy, upstream: Upstream) -> None:
    async def pay(*lines: str) -> Reply:
        return await post(proxy.url, f"{upstream.url}/pay", "Idempotency-Key: k-1", *lines)

    nobody = await pay()
    run_1 = await pay("Proxy-Authorization: Basic cnVuLTE6cA==")  # run-1:p
    run_2 = await pay("Proxy-Authorization: Basic cnVuLTI6cA==")  # run-2:p
    resumed = await pay("Proxy-Authorization: basic cnVuLTE6YW5vdGhlcg==")  # run-1:another

    assert [nobody.replayed, run_1.replayed, run_2.replayed, resumed.replayed] == [False, False, False, True]
    assert resumed.own == run_1.own
    assert upstream.executions == 3


async def test_another_action_id_says_again_on_purpose(proxy: Proxy, upstream: Upstream) -> None:
    async def pay(*lines: str) -> bool:
        return (await post(proxy.url, f"{upstream.url}/pay", *lines)).replayed

    assert not await pay()
    assert not await pay("Onceproxy-Action: 2")
    assert not await pay("Onceproxy-Action: 3")
    assert await pay("onceproxy-action: 2")
    assert await pay()
    assert all(seen.all("Onceproxy-Action") == [] for seen in upstream.requests)


async def test_a_receipt_is_not_given_to_another_credential(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy()
    mine, other = "Authorization: Bearer mine", "Authorization: Bearer other"
    upstream.always = answer(201, b"my secret")
    first = await post(proxy.url, f"{upstream.url}/pay", mine)
    assert first.body == b"my secret"

    for lines in ((other,), (), (mine, "Cookie: session=1")):
        reply = await post(proxy.url, f"{upstream.url}/pay", *lines)
        assert (reply.status, reply.slug) == (403, "credential-mismatch")
        assert "secret" not in reply.body.decode()
        assert "attempt" not in reply.problem()
        assert reply.told == {"state": "refused", "reason": "credential-mismatch"}

    assert (await post(proxy.url, f"{upstream.url}/pay", mine)).own == first.own
    assert upstream.executions == 1


async def test_a_signature_that_changes_with_each_try_is_the_same_credential(
    proxy: Proxy, upstream: Upstream
) -> None:
    def signed(date: str, signature: str) -> bytes:
        authorization = (
            f"AWS4-HMAC-SHA256 Credential=AKID/{date}/eu/s3/aws4_request, SignedHeaders=host, "
            f"Signature={signature}"
        )
        return a_request("POST", f"{upstream.url}/pay", f"Authorization: {authorization}", body=b"x")

    assert await copies(proxy, signed("20260101", "aa"), signed("20260102", "bb"))
