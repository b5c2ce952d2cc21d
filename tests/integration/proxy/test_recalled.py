"""Copies that say the same byte for byte are answered as they arrive; only the time that it takes differs."""

from __future__ import annotations

import asyncio
import base64

import asyncpg
import pytest

from integration.proxy.conftest import StartProxy, client_context
from onceproxy.config.model import Settings
from onceproxy.core.receipts import RequestId
from onceproxy.ingress import recalling
from onceproxy.ingress.recalling import Recall
from onceproxy.serve import Proxy
from onceproxy.store.operator import operating, purge
from raw_client import RawClient, a_request, connected
from upstreams import Upstream, answer


@pytest.fixture
def recalls(monkeypatch: pytest.MonkeyPatch) -> list[Recall]:
    """What was made to know requests by heart."""
    made: list[Recall] = []
    original = Recall.__init__

    def watched(self: Recall, *args: object) -> None:
        original(self, *args)  # type: ignore[arg-type]  # as they came
        made.append(self)

    monkeypatch.setattr(Recall, "__init__", watched)
    return made


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each request that was looked at as it arrived: whether it had its answer then."""
    told: list[bool] = []
    original = Recall.answer

    def watched(*args: object) -> bytes | None:
        found = original(*args)  # type: ignore[arg-type]  # as they came
        told.append(found is not None)
        return found

    monkeypatch.setattr(Recall, "answer", watched)
    return told


def a_payment(upstream: Upstream, *lines: str, body: bytes = b'{"amount": 100}') -> bytes:
    return a_request(
        "POST",
        f"{upstream.url}/pay",
        "Idempotency-Key: k",
        "Content-Type: application/json",
        *lines,
        body=body,
    )


async def recalled(client: RawClient, request: bytes, answered: list[bool]) -> None:
    """Ask until it is known by heart."""
    for _ in range(3):
        await client.ask(request)
    assert answered[-1]


async def test_the_answer_is_that_of_other_copies(
    proxy: Proxy, upstream: Upstream, answered: list[bool]
) -> None:
    upstream.will(answer(201, b"paid", (("X-Kept", "1"), ("Onceproxy-Status", "completed"))))
    request = a_payment(upstream)
    async with connected(proxy.url) as client:
        first, second, third, fourth = [await client.ask(request) for _ in range(4)]

    assert answered[-2:] == [True, True]
    assert (second.replayed, upstream.executions) == (True, 1)
    assert (third.head, third.body) == (fourth.head, fourth.body) == (second.head, second.body)
    assert third.own == first.own


async def test_one_byte_less_or_more_is_looked_at_again(
    proxy: Proxy, upstream: Upstream, answered: list[bool]
) -> None:
    async with connected(proxy.url) as client:
        await recalled(client, a_payment(upstream), answered)
        other_body = await client.ask(a_payment(upstream, body=b'{"amount": 101}'))
        other_account = await client.ask(a_payment(upstream, "Authorization: Bearer another"))
        spaces = await client.ask(a_payment(upstream, body=b'{"amount":100}'))

    assert answered[-3:] == [False] * 3
    assert (other_body.status, other_account.status) == (422, 403)
    assert (spaces.replayed, upstream.executions) == (True, 1)


async def test_what_was_purged_is_executed_again(
    proxy: Proxy, upstream: Upstream, answered: list[bool], database_url: str
) -> None:
    request = a_payment(upstream)
    async with connected(proxy.url) as client:
        await recalled(client, request, answered)
        request_id = RequestId.parse((await client.ask(request)).one("Onceproxy-Request-Id"))
        async with operating(database_url) as connections:
            await purge(connections, request_id, "once more")
        async with asyncio.timeout(10):
            while (again := await client.ask(request)).replayed:  # the news is on its way
                await asyncio.sleep(0)

    assert (again.told["attempt"], upstream.executions) == (1, 2)


async def test_other_rules_begin_with_nothing(proxy: Proxy, upstream: Upstream, answered: list[bool]) -> None:
    request = a_payment(upstream)
    async with connected(proxy.url) as client:
        await recalled(client, request, answered)
        proxy.follow(
            Settings.model_validate(
                {"routes": [{"name": "passing", "match": {"path": "/**"}, "guard": False}]}
            )
        )
        passed = await client.ask(request)

    assert (passed.replayed, answered[-1], upstream.executions) == (False, False, 2)


async def test_answers_keep_the_order_of_their_requests(
    proxy: Proxy, upstream: Upstream, answered: list[bool]
) -> None:
    known = a_payment(upstream)
    async with connected(proxy.url) as client:
        await recalled(client, known, answered)
        upstream.will(answer(200, b"new"))
        new = a_request("POST", f"{upstream.url}/other", body=b"1")
        await client.send(new + known + known)
        bodies = [(await client.reply()).replayed for _ in range(3)]
        await client.send(known + known)
        more = [(await client.reply()).replayed for _ in range(2)]

    assert (bodies, more) == ([False, True, True], [True, True])
    assert upstream.executions == 2


async def test_a_head_whose_body_comes_later_is_served_as_ever(
    proxy: Proxy, upstream: Upstream, answered: list[bool]
) -> None:
    request = a_payment(upstream)
    async with connected(proxy.url) as client:
        await recalled(client, request, answered)
        head, _, body = request.partition(b"\r\n\r\n")
        await client.send(head[:20])
        await client.send(head[20:] + b"\r\n\r\n")
        await client.send(body)
        reply = await client.reply()
        last = await client.ask(request)

    assert reply.replayed
    assert last.replayed
    assert upstream.executions == 1


async def test_each_connection_ends_as_its_client_wants(
    proxy: Proxy, upstream: Upstream, answered: list[bool]
) -> None:
    request = a_payment(upstream, "Connection: close")
    for _ in range(3):
        async with connected(proxy.url) as client:
            reply = await client.ask(request)
            assert reply.one("Connection") == "close"
            assert await client.ended()

    assert not any(answered)


async def test_the_same_bytes_in_the_tunnel_of_another_user_are_another_action(
    trusting: StartProxy, secure_upstream: Upstream, answered: list[bool]
) -> None:
    proxy = await trusting()
    host = f"localhost:{secure_upstream.port}"
    request = a_request("POST", "/pay", f"Host: {host}", body=b"1")
    for user in ("ann", "bob"):
        basic = base64.b64encode(f"{user}:pw".encode()).decode()
        async with connected(proxy.url) as client:
            assert (await client.connect(host, f"Proxy-Authorization: Basic {basic}")).status == 200
            await client.secure(client_context(proxy), "localhost")
            first = await client.ask(request)
            assert not first.replayed
            await recalled(client, request, answered)

    assert secure_upstream.executions == 2


async def test_copies_are_counted(
    proxy: Proxy, upstream: Upstream, answered: list[bool], database: asyncpg.Connection
) -> None:
    request = a_payment(upstream)
    async with connected(proxy.url) as client:
        for _ in range(10):
            await client.ask(request)
    assert answered.count(True) == 8

    await proxy.stop()

    rows = await database.fetch("SELECT reason FROM events WHERE kind = 'replayed'")
    counts = [int(row["reason"].split()[0]) if row["reason"] else 1 for row in rows]
    assert sum(counts) == 9


async def test_what_is_known_by_heart_takes_so_much_and_no_more(
    recalls: list[Recall], start_proxy: StartProxy, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalling, "MOST", 3 * (recalling.FRAME + 10_000))
    proxy = await start_proxy()
    async with connected(proxy.url) as client:
        for number in range(5):
            upstream.will(answer(200, b"paid", (("X-Large", "x" * 8_000),)))
            request = a_request("POST", f"{upstream.url}/pay", f"Idempotency-Key: {number}", body=b"1")
            for _ in range(3):
                await client.ask(request)

    [recall] = recalls
    assert 0 < recall.size <= recalling.MOST
    assert upstream.executions == 5


async def test_an_answer_that_is_large_with_its_headers_is_not_known_by_heart(
    recalls: list[Recall], start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy()
    upstream.will(answer(200, b"paid", tuple((f"X-Large-{n}", "x" * 6_000) for n in range(3))))
    async with connected(proxy.url) as client:
        for _ in range(3):
            reply = await client.ask(a_payment(upstream))

    assert (reply.replayed, upstream.executions) == (True, 1)
    assert [recall.size for recall in recalls] == [0]


async def test_without_receipts_in_memory_nothing_is_known_by_heart(
    recalls: list[Recall], start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(limits={"receipt_cache": "0B"})
    async with connected(proxy.url) as client:
        for _ in range(3):
            reply = await client.ask(a_payment(upstream))

    assert (reply.replayed, upstream.executions) == (True, 1)
    assert [recall.size for recall in recalls] == [0]
