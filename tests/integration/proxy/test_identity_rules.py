"""What a route says of identity, on the wire: keys, fresh keys, keys of ours, and hostile bodies."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import brotli
import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.core.json_text import MAX_DEPTH
from onceproxy.serve import Proxy
from raw_client import Reply, a_request, ask, post
from upstreams import Upstream, answer, close

JSON = "Content-Type: application/json"


async def routed(start_proxy: StartProxy, **route: Any) -> Proxy:
    return await start_proxy(routes=[{"name": "pay", "match": {"path": "/pay"}, **route}])


async def pay(proxy: Proxy, upstream: Upstream, body: bytes, *lines: str, query: str = "") -> Reply:
    return await post(proxy.url, f"{upstream.url}/pay{query}", JSON, *lines, body=body)


@pytest.mark.parametrize("key", [{"json": "$.key"}, [{"header": "X-Key"}, {"json": "$.key"}]], ids=str)
async def test_a_key_in_the_body(start_proxy: StartProxy, upstream: Upstream, key: Any) -> None:
    proxy = await routed(start_proxy, identity={"key": key})

    first = await pay(proxy, upstream, b'{"key": "k-1", "amount": 1}')
    again = await pay(proxy, upstream, b'{"amount": 1, "key": "k-1"}')
    other = await pay(proxy, upstream, b'{"key": "k-2", "amount": 1}')
    reused = await pay(proxy, upstream, b'{"key": "k-1", "amount": 2}')

    assert [reply.replayed for reply in (first, again, other)] == [False, True, False]
    assert (reused.status, reused.slug) == (422, "key-reused")
    assert upstream.executions == 2


async def test_a_key_that_is_wanted(start_proxy: StartProxy, upstream: Upstream, receipts: Receipts) -> None:
    proxy = await routed(start_proxy, identity={"missing": "reject", "key": {"header": "X-Key"}})

    reply = await pay(proxy, upstream, b"{}")

    assert (reply.status, reply.slug) == (400, "missing-key")
    assert reply.problem()["route"] == "pay"
    assert "X-Key" in reply.problem()["detail"]
    assert (await pay(proxy, upstream, b"{}", "X-Key: 1")).status == 201
    assert (upstream.executions, await receipts()) == (1, ["completed"])


@pytest.mark.parametrize("key", [{"header": "X-Key"}, {"json": "$.key"}], ids=str)
async def test_without_a_key_it_may_pass(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts, key: Any
) -> None:
    proxy = await routed(start_proxy, identity={"missing": "pass", "key": key})

    for _ in range(2):
        reply = await pay(proxy, upstream, b'{"a": 1}')
        assert (reply.status, reply.all("Onceproxy-Request-Id")) == (201, [])

    assert [seen.body for seen in upstream.requests] == [b'{"a": 1}'] * 2
    assert await receipts() == []
    for _ in range(2):
        await pay(proxy, upstream, b'{"key": "k"}', "X-Key: k")
    assert (upstream.executions, await receipts()) == (3, ["completed"])


async def test_a_bad_key_is_told_also_where_none_is_needed(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await routed(start_proxy, identity={"missing": "pass", "key": {"header": "X-Key"}})

    reply = await pay(proxy, upstream, b"{}", "X-Key: " + "k" * 256)

    assert (reply.status, reply.slug, upstream.executions) == (400, "bad-key", 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"key": "%s"}' % (b"k" * 256), "256 characters"),
        (b'{"key": "a\\u0000b"}', "visible ASCII"),
        (b'{"key": {"a": 1}}', "neither a string nor a number"),
    ],
)
async def test_a_key_of_the_body_that_can_not_be_used(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts, body: bytes, words: str
) -> None:
    proxy = await routed(start_proxy, identity={"key": {"json": "$.key"}})

    reply = await pay(proxy, upstream, body)

    assert (reply.status, reply.slug) == (400, "bad-key")
    assert words in reply.problem()["detail"]
    assert (upstream.executions, await receipts()) == (0, [])


async def test_our_key_goes_upstream_as_a_member_and_nothing_else_changes(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await routed(
        start_proxy,
        identity={"key": {"json": "$.key"}},
        inject_key={"json": "$.key"},
        in_doubt="resend",
        upstream_window="1h",
    )
    upstream.will(close)  # the answer is lost, and the copy is sent again under the same key

    lost = await pay(proxy, upstream, b'{ "n": 1.50, "s": "\\u00e9" }')
    again = await pay(proxy, upstream, b'{"s": "\xc3\xa9", "n": 1.5}')

    assert (lost.status, again.status) == (502, 201)
    oid = again.one("Onceproxy-Request-Id")
    assert [seen.body for seen in upstream.requests] == [
        b'{"key":"%s", "n": 1.50, "s": "\\u00e9" }' % oid.encode(),
        b'{"key":"%s","s": "\xc3\xa9", "n": 1.5}' % oid.encode(),
    ]
    assert [seen.all("Content-Length") for seen in upstream.requests] == [
        [str(len(seen.body))] for seen in upstream.requests
    ]


async def test_our_key_goes_upstream_as_a_header(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await routed(start_proxy, inject_key={"header": "Idempotency-Key", "as": "uuid"})

    await pay(proxy, upstream, b'{"a": 1}')
    await pay(proxy, upstream, b'{"a": 2}')
    await pay(proxy, upstream, b'{"a": 3}', "Idempotency-Key: own")

    keys = [seen.all("Idempotency-Key") for seen in upstream.requests]
    assert [len(key[0]) for key in keys[:2]] == [36, 36]
    assert keys[0] != keys[1]
    assert keys[2] == ["own"]


async def test_what_has_no_room_for_our_key_is_not_sent_again(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await routed(start_proxy, inject_key={"json": "$.key"}, in_doubt="resend", upstream_window="1h")
    upstream.will(close)

    await pay(proxy, upstream, b"[1]")
    again = await pay(proxy, upstream, b"[1]")

    assert (again.slug, upstream.executions) == ("outcome-unknown", 1)


async def test_a_repeat_under_a_fresh_key_is_held_until_someone_insists(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await routed(start_proxy, fresh_key="hold", fresh_key_window="1h")

    first = await pay(proxy, upstream, b'{"amount": 1}', "Idempotency-Key: k-1")
    held = await pay(proxy, upstream, b'{"amount": 1}', "Idempotency-Key: k-2")

    assert (held.status, held.slug) == (409, "looks-repeated")
    problem = held.problem()
    assert problem["earlier"] == first.one("Onceproxy-Request-Id")
    assert problem["earlier"] in problem["detail"]
    assert problem["earlier_state"] == "completed"
    assert "Onceproxy-Action" in problem["detail"]
    assert (await pay(proxy, upstream, b'{"amount": 1}')).slug == "looks-repeated"  # nor without a key
    assert upstream.executions == 1

    assert (await pay(proxy, upstream, b'{"amount": 1}', "Idempotency-Key: k-1")).replayed
    insist = ("Idempotency-Key: k-2", "Onceproxy-Action: second")
    assert [(await pay(proxy, upstream, b'{"amount": 1}', *insist)).replayed for _ in range(2)] == [
        False,
        True,
    ]
    assert (await pay(proxy, upstream, b'{"amount": 2}', "Idempotency-Key: k-3")).status == 201
    assert upstream.executions == 3


async def test_of_fresh_keys_at_the_same_instant_one_is_sent(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    settings: dict[str, Any] = {"name": "pay", "match": {"path": "/pay"}, "fresh_key": "hold"}
    proxies = [await start_proxy(routes=[settings]) for _ in range(2)]

    replies = await asyncio.gather(
        *(pay(proxies[i % 2], upstream, b"{}", f"Idempotency-Key: k-{i}") for i in range(20))
    )

    assert sorted(reply.status for reply in replies) == [201] + [409] * 19
    assert upstream.executions == 1


async def test_a_warning_lets_it_go(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await routed(start_proxy, fresh_key="warn")

    replies = [await pay(proxy, upstream, b"{}", f"Idempotency-Key: k-{n}") for n in range(2)]

    assert [reply.status for reply in replies] == [201, 201]
    assert upstream.executions == 2


async def test_another_credential_is_another_account(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await routed(start_proxy, fresh_key="hold")

    for token in ("a", "b"):
        lines = (f"Idempotency-Key: {token}", f"Authorization: Bearer {token}")
        assert (await pay(proxy, upstream, b"{}", *lines)).status == 201


async def test_a_header_of_the_scope_is_no_credential(
    start_proxy: StartProxy, upstream: Upstream, database: Any
) -> None:
    proxy = await routed(start_proxy, scope=["header:Authorization"])

    for token in ("a", "b", "a"):
        last = await pay(proxy, upstream, b"{}", f"Authorization: Bearer s3cret-{token}")

    assert (last.replayed, upstream.executions) == (True, 2)
    rows = await database.fetch("SELECT * FROM receipts")
    assert {tuple(row["scope"]) for row in rows} == {("header:Authorization=(hidden)",)}
    assert not any("s3cret" in str(dict(row)) for row in rows)


TEN_MB = 10 * 1024 * 1024
HOSTILE = {
    "deep arrays": b"[" * (TEN_MB // 2) + b"]" * (TEN_MB // 2),
    "deep objects": b'{"a":' * (TEN_MB // 6) + b"1" + b"}" * (TEN_MB // 6),
    "a little too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "many values": b"[" + b"1," * (TEN_MB // 2) + b"1]",
    "a huge number": b"[" + b"9" * TEN_MB + b"]",
    "a huge exponent": b"[1e" + b"9" * 1000 + b"]",
    "cut off": b'{"a": "' + b"x" * TEN_MB,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_document_is_its_bytes_and_the_proxy_lives(
    start_proxy: StartProxy, upstream: Upstream, name: str
) -> None:
    proxy = await routed(
        start_proxy,
        identity={
            "key": {"json": "$.key"},
            "fingerprint": {"body": {"json": {"exclude": ["$..trace", "$.a.b"]}}},
        },
    )
    body = HOSTILE[name]

    first = await pay(proxy, upstream, body)
    again = await pay(proxy, upstream, body)
    other = await pay(proxy, upstream, body + b" ")

    assert [reply.status for reply in (first, again, other)] == [201, 201, 201]
    assert [reply.replayed for reply in (first, again, other)] == [False, True, False]
    assert [seen.body for seen in upstream.requests] == [body, body + b" "]


@pytest.mark.parametrize(("coding", "coder"), [("gzip", gzip.compress), ("br", brotli.compress)])
async def test_a_decompression_bomb_is_its_bytes_and_the_proxy_lives(
    start_proxy: StartProxy, upstream: Upstream, coding: str, coder: Any
) -> None:
    proxy = await routed(start_proxy, identity={"fingerprint": {"body": {"json": {"exclude": ["$.trace"]}}}})
    bomb = coder(b'{"a": "' + b" " * (64 * 1024 * 1024) + b'"}')
    line = f"Content-Encoding: {coding}"

    first = await pay(proxy, upstream, bomb, line)
    again = await pay(proxy, upstream, bomb, line)

    assert (first.status, first.replayed, again.replayed) == (201, False, True)
    assert upstream.requests[0].body == bomb
    plain = coder(json.dumps({"a": 1, "trace": 1}).encode())
    assert (await pay(proxy, upstream, plain, line)).status == 201
    assert (await pay(proxy, upstream, b'{"trace": 2, "a": 1}')).replayed


async def test_multipart_and_coded_bodies_go_on_as_they_came(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await routed(start_proxy)
    url = f"{upstream.url}/pay"

    def form(boundary: str, *names: str) -> bytes:
        parts = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{name}\r\n'
            for name in names
        )
        kind = f"Content-Type: multipart/form-data; boundary={boundary}"
        return a_request("POST", url, kind, body=f"{parts}--{boundary}--\r\n".encode())

    upstream.always = answer(201, b"made")
    first = await ask(proxy.url, form("one", "a", "b"))
    again = await ask(proxy.url, form("two", "b", "a"))
    other = await ask(proxy.url, form("two", "b", "c"))

    assert [reply.replayed for reply in (first, again, other)] == [False, True, False]
    assert b"--one\r\n" in upstream.requests[0].body
