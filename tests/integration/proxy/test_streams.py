"""Answers that go to the client as they arrive, and end when their receipt is durable."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg
import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.core.receipts import RequestId
from onceproxy.serve import Proxy
from onceproxy.store.catalogue import Catalogue
from raw_client import RawClient, a_request, connected, post
from upstreams import PATIENCE, Conversation, Upstream, answer

EVENTS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
CHUNKED = EVENTS_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
FIRST, LAST = b"data: 1\n\n", b"data: last\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass
class Held:
    """An upstream's answer that stops in the middle until it may go on."""

    before: bytes = CHUNKED + chunk(FIRST)
    after: bytes = chunk(LAST) + chunk(b"")
    then_close: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, talk: Conversation) -> None:
        await talk.send(self.before)
        await self.go.wait()
        if self.after:
            await talk.send(self.after)
        talk.keep = not self.then_close


async def head(client: RawClient) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await client.reader.readuntil(b"\r\n\r\n")


async def rest(client: RawClient) -> tuple[bytes, bool]:
    """What still comes on the connection, and whether it ends by a fault."""
    data = b""
    async with asyncio.timeout(PATIENCE):
        try:
            while more := await client.reader.read(1 << 16):
                data += more
        except ConnectionResetError:
            return data, True
    return data, False


async def until(question: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await question():
            await asyncio.sleep(0.01)


async def silent(client: RawClient, proxy: Proxy, upstream: Upstream) -> bool:
    """Whether nothing has come, although the proxy had every opportunity: it served another one meanwhile."""
    async with connected(proxy.url) as other:
        await other.ask(a_request("GET", f"{upstream.url}/meanwhile"))
    try:
        async with asyncio.timeout(0.2):
            return await client.reader.read(1) == b"\0no"
    except TimeoutError:
        return True


def blocked(database: asyncpg.Connection) -> Callable[[], Awaitable[object]]:
    return lambda: database.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")


async def test_events_come_as_they_are_sent_and_the_end_when_the_receipt_is_durable(
    proxy: Proxy, upstream: Upstream, database: asyncpg.Connection, receipts: Receipts
) -> None:
    held = Held()
    upstream.will(held)
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/run", body=b"1"))
        first = await head(client)
        assert b"Onceproxy-Status: state=claimed; attempt=1; reason=streaming\r\n" in first
        assert b"Onceproxy-Request-Id: oid_" in first
        assert b"Content-Type: text/event-stream; charset=utf-8\r\n" in first
        assert await client.read(len(chunk(FIRST))) == chunk(FIRST)  # while the upstream holds the rest back
        async with database.transaction():
            await database.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")  # holds the settlement up
            held.go.set()
            assert await client.read(len(chunk(LAST))) == chunk(LAST)
            await until(blocked(database))
            assert await silent(client, proxy, upstream)
            assert await receipts() == ["claimed"]
        assert await client.read(5) == chunk(b"")
        again = await client.ask(a_request("POST", f"{upstream.url}/run", body=b"1"))

    assert (again.status, again.replayed, again.body) == (200, True, FIRST + LAST)
    assert again.one("Content-Type") == "text/event-stream; charset=utf-8"
    assert upstream.executions == 1


async def test_a_stated_length_lacks_its_last_byte_until_the_receipt_is_durable(
    proxy: Proxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    held = Held(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc", b"def")
    upstream.will(held)
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/run", body=b"1"))
        first = await head(client)
        assert first.lower().count(b"content-length: 6\r\n") == 1
        assert await client.read(3) == b"abc"
        async with database.transaction():
            await database.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            held.go.set()
            assert await client.read(2) == b"de"
            await until(blocked(database))
            assert await silent(client, proxy, upstream)
        assert await client.read(1) == b"f"
        again = await client.ask(a_request("POST", f"{upstream.url}/run", body=b"1"))

    assert (again.body, again.replayed) == (b"abcdef", True)


async def test_copies_that_come_amid_a_stream_wait_and_get_the_same_bytes(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    one, other = await start_proxy(), await start_proxy()
    impatient = await start_proxy(defaults={"duplicate": "conflict"})
    held = Held()
    upstream.will(held)
    async with connected(one.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/run", body=b"1"))
        await head(client)
        await client.read(len(chunk(FIRST)))
        copies = [
            asyncio.ensure_future(post(proxy.url, f"{upstream.url}/run", body=b"1")) for proxy in (one, other)
        ]
        assert (await post(impatient.url, f"{upstream.url}/run", body=b"1")).slug == "in-progress"
        held.go.set()
        replies = await asyncio.gather(*copies)

    assert [(reply.replayed, reply.body) for reply in replies] == [(True, FIRST + LAST)] * 2
    assert upstream.executions == 1


async def test_a_stream_that_the_upstream_cuts_is_in_doubt_with_what_arrived(
    proxy: Proxy, upstream: Upstream, receipts: Receipts, database_url: str
) -> None:
    held = Held(after=b"", then_close=True)
    upstream.will(held)
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/run", body=b"1"))
        first = await head(client)
        await client.read(len(chunk(FIRST)))
        held.go.set()
        assert (await rest(client))[0] == b""  # and not the last chunk

    assert await receipts() == ["in_doubt"]
    (told,) = [line for line in first.split(b"\r\n") if line.startswith(b"Onceproxy-Request-Id: ")]
    async with await Catalogue.open(database_url) as catalogue:
        shown = await catalogue.show(RequestId.parse(told.split(b": ")[1].decode()))
    assert shown is not None
    receipt = shown[0]
    assert receipt.partial
    assert receipt.response is not None
    assert (receipt.response.status, receipt.response.body.read()) == (200, FIRST)
    assert (receipt.phase, receipt.failure) == ("head-received", "connection-lost")
    later = await post(proxy.url, f"{upstream.url}/run", body=b"1")
    assert later.slug == "outcome-unknown"
    assert "began to answer 200" in later.problem()["detail"]
    assert upstream.executions == 1


@pytest.mark.parametrize("framing", [b"", b"Content-Length: 21\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_an_old_client_sees_the_end_by_the_close_and_a_cut_by_a_fault(
    proxy: Proxy, upstream: Upstream, framing: bytes, receipts: Receipts
) -> None:
    chunked = framing.startswith(b"T")
    parts = [chunk(FIRST), chunk(LAST) + chunk(b"")] if chunked else [FIRST, LAST]
    whole = Held(EVENTS_HEAD + framing + b"\r\n" + parts[0], parts[1], then_close=True)
    upstream.will(whole)
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/whole", version="HTTP/1.0", body=b"1"))
        assert b"Connection: close\r\n" in await head(client)
        assert await client.read(len(FIRST)) == FIRST
        whole.go.set()
        assert await rest(client) == (LAST, False)
    assert await receipts() == ["completed"]

    if not framing:
        return  # an upstream that ends a body by its close can't be told from one that was cut
    cut = Held(EVENTS_HEAD + framing + b"\r\n" + parts[0], b"", then_close=True)
    upstream.will(cut)
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/cut", version="HTTP/1.0", body=b"1"))
        stated = b"Content-Length" in await head(client)
        assert await client.read(len(FIRST)) == FIRST
        cut.go.set()
        data, fault = await rest(client)
        assert data == b""
        assert fault or stated
    assert await receipts() == ["completed", "in_doubt"]


async def test_a_client_that_leaves_amid_a_stream_finds_the_receipt(
    proxy: Proxy, upstream: Upstream, receipts: Receipts
) -> None:
    held = Held()
    upstream.will(held)
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/run", body=b"1"))
        await head(client)
        await client.read(len(chunk(FIRST)))
    assert await receipts() == ["claimed"]
    held.go.set()

    reply = await post(proxy.url, f"{upstream.url}/run", body=b"1")

    assert (reply.replayed, reply.body) == (True, FIRST + LAST)
    assert upstream.executions == 1


async def test_a_stop_amid_a_stream_cuts_it_and_leaves_the_evidence(
    proxy: Proxy, upstream: Upstream, receipts: Receipts, database: asyncpg.Connection
) -> None:
    upstream.will(Held())
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/run", body=b"1"))
        await head(client)
        await client.read(len(chunk(FIRST)))
        await proxy.stop(grace=0)
        assert (await rest(client))[0] == b""

    assert await receipts() == ["in_doubt"]
    row = await database.fetchrow("SELECT status, body, failure FROM receipts")
    assert row is not None
    assert tuple(row) == (200, FIRST, "stopped")


@pytest.mark.parametrize("status", [429, 500])
async def test_what_is_not_an_answer_for_good_is_not_streamed(
    proxy: Proxy, upstream: Upstream, status: int, receipts: Receipts
) -> None:
    held = Held(CHUNKED.replace(b"200 OK", b"%d No" % status) + chunk(FIRST))
    upstream.will(held)
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/run", body=b"1"))
        await upstream.arrived(1)
        assert await silent(client, proxy, upstream)
        held.go.set()
        reply = await client.reply()

    state = "released" if status == 429 else "in_doubt"
    assert (reply.status, reply.body) == (status, FIRST + LAST)
    assert reply.one("Onceproxy-Status").startswith(f"state={state};")
    assert await receipts() == [state]


@pytest.mark.parametrize("status", [200, 500])
async def test_a_body_over_the_limit_reaches_the_client_and_is_not_kept(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts, status: int
) -> None:
    proxy = await start_proxy(limits={"receipt_body": "1KiB"})
    body = bytes(range(256)) * 16_384
    upstream.always = answer(status, body, (("X-Id", "7"), ("Set-Cookie", "session=secret")))

    first = await post(proxy.url, f"{upstream.url}/export", body=b"1")
    assert (first.status, first.body) == (status, body)
    assert first.one("Set-Cookie") == "session=secret"

    for _ in range(2):
        later = await post(proxy.url, f"{upstream.url}/export", body=b"1")
        if status == 500:
            assert later.slug == "outcome-unknown"
            continue
        problem = later.problem()
        assert problem["type"].endswith(":receipt-body-not-kept")
        assert problem["upstream_status"] == 200
        assert ["X-Id", "7"] in problem["upstream_headers"]
        assert "secret" not in str(problem)
        assert problem["body_size"] == len(body)
        assert problem["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert await receipts() == ["completed" if status == 200 else "in_doubt"]
    assert upstream.executions == 1
