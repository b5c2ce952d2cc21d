"""An upstream that fails at any step: what is told and stored, and that no copy is ever sent behind a doubt.

Each fault is tried with a POST, a PUT and a DELETE: HTTP libraries treat them differently when a connection
is lost, and the proxy must not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from faults.upstream.conftest import METHODS, a_payment, pay, phase_of, state_of, stays_in_doubt
from proxies import ProxyProcess
from raw_client import a_request, connected
from upstreams import Behaviour, Conversation, Door, Upstream, answer, close, closing, door, hang, raw, reset

pytestmark = pytest.mark.asyncio(loop_scope="module")

MADE = b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 201 Made\r\nContent-Length: 10\r\n\r\nhalf"
CHUNKED = b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
HEAD = b"\r\n\r\n"  # what a head ends with
BIG = b"x" * (12 << 20)  # more than all the buffers on the way to an upstream that does not read hold

Fault = Callable[[Upstream], None]


def reads(behaviour: Behaviour) -> Fault:
    """It reads the whole request, and then behaves so."""
    return lambda upstream: upstream.will(behaviour)


def opens(way: Door) -> Fault:
    """It behaves so before it has read the whole request."""
    return lambda upstream: upstream.at_the_door(way)


async def dribble(talk: Conversation) -> None:
    """Answer in pieces of one byte."""
    for at in range(len(MADE)):
        await talk.send(MADE[at : at + 1])
        await asyncio.sleep(0)


def each(faults: dict[str, Fault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", list(faults.values()), ids=list(faults))


@each(
    {
        "resets after a byte": opens(door(1)),
        "closes after a byte": opens(door(1, then="close")),
        "resets after the head": opens(door(HEAD)),
        "closes after the head": opens(door(HEAD, then="close")),
        "resets after reading": reads(reset),
        "closes after reading": reads(close),
        "half a head": reads(raw(b"HTTP/1.1 201 Ma")),
        "half a head and a reset": reads(raw(b"HTTP/1.1 201 Made\r\nX-A", then="reset")),
        "half a body": reads(raw(HALF)),
        "half a body and a reset": reads(raw(HALF, then="reset")),
        "half a chunked body": reads(raw(CHUNKED + b"3\r\nabc\r\n")),
        "a chunk that is none": reads(raw(CHUNKED + b"3\r\nabc\r\nzz\r\n")),
        "an interim answer alone": reads(raw(INTERIM)),
        "garbage": reads(raw(b"SSH-2.0-OpenSSH_9.6\r\n")),
        "two lengths": reads(raw(MADE.replace(b"2", b"2\r\nContent-Length: 1"))),
    }
)
async def test_an_answer_that_is_lost(proxy: ProxyProcess, database: asyncpg.Pool, fault: Fault) -> None:
    for method in METHODS:
        async with Upstream() as upstream:
            fault(upstream)
            url = a_payment(upstream.url)
            first = await pay(proxy, method, url)

            assert (first.status, first.slug) == (502, "upstream-failed"), method
            await stays_in_doubt(proxy, upstream, database, method, first, url)


@each(
    {
        "resets after a byte": opens(door(1)),
        "closes after a byte": opens(door(1, then="close")),
        "resets after the head": opens(door(HEAD)),
        "closes after the head": opens(door(HEAD, then="close")),
    }
)
async def test_a_request_that_is_cut_short(proxy: ProxyProcess, database: asyncpg.Pool, fault: Fault) -> None:
    for method in ("POST", "PUT"):
        async with Upstream() as upstream:
            fault(upstream)
            url = a_payment(upstream.url)
            first = await pay(proxy, method, url, BIG)

            assert (first.status, first.slug) == (502, "upstream-failed"), method
            assert await phase_of(database, url) == "sending", method
            await stays_in_doubt(proxy, upstream, database, method, first, url, BIG)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_an_upstream_in_trouble(proxy: ProxyProcess, database: asyncpg.Pool, status: int) -> None:
    for method in METHODS:
        async with Upstream() as upstream:
            upstream.will(answer(status, b"oops", (("Retry-After", "1"),)))
            url = a_payment(upstream.url)
            first = await pay(proxy, method, url)

            assert (first.status, first.body) == (status, b"oops"), method
            await stays_in_doubt(proxy, upstream, database, method, first, url)


async def test_a_connection_that_is_reset_as_soon_as_it_is_there(
    proxy: ProxyProcess, database: asyncpg.Pool
) -> None:
    # Whether a byte has left by then is for the machine to say. What is told must fit what is done next.
    for method in METHODS:
        async with Upstream() as upstream:
            upstream.at_the_door(door())
            url = a_payment(upstream.url)
            first = await pay(proxy, method, url)

            assert first.status == 502, method
            if await state_of(database, url) == "released":
                assert "Retrying is safe" in first.problem()["detail"], method
                assert (await pay(proxy, method, url)).status == 201, method
                assert upstream.executions == 1, method
            else:
                await stays_in_doubt(proxy, upstream, database, method, first, url)


@each(
    {
        "interim answers": reads(raw(INTERIM + MADE)),
        "byte by byte": reads(dribble),
        "a redirect": reads(answer(307, headers=(("Location", "/elsewhere"),))),
        "declined": reads(answer(402, b"declined")),
        "closes behind it": reads(closing(answer())),
        "resets behind it": reads(raw(MADE, then="reset")),
        "ends with the connection": reads(raw(b"HTTP/1.1 201 Made\r\n\r\nall of it")),
        "before the body was read": opens(door(HEAD, MADE, then="hang")),
    }
)
async def test_an_answer_that_is_whole(proxy: ProxyProcess, database: asyncpg.Pool, fault: Fault) -> None:
    for method in METHODS:
        async with Upstream() as upstream:
            fault(upstream)
            url = a_payment(upstream.url)
            first, again = [await pay(proxy, method, url, BIG) for _ in (1, 2)]

            assert first.told["state"] == "completed", method
            assert await state_of(database, url) == "completed", method
            assert again.replayed, method
            assert again.own == first.own, method
            assert upstream.connections == 1, method
            assert upstream.executions <= 1, method


@pytest.mark.parametrize("status", [401, 408, 409, 423, 425, 429])
async def test_who_is_turned_away_is_sent_again_when_the_client_asks_again(
    proxy: ProxyProcess, database: asyncpg.Pool, status: int
) -> None:
    for method in METHODS:
        async with Upstream() as upstream:
            upstream.will(answer(status, b"later", (("Retry-After", "7"),)))
            url = a_payment(upstream.url)
            first = await pay(proxy, method, url)

            assert (first.status, first.body, first.all("Retry-After")) == (status, b"later", ["7"]), method
            assert await state_of(database, url) == "released", method
            assert upstream.executions == 1, method  # by the client's wish alone is there a second

            second, third = [await pay(proxy, method, url) for _ in (1, 2)]
            assert (second.status, second.told["attempt"], second.replayed) == (201, 2, False), method
            assert third.replayed, method
            assert upstream.executions == 2, method


async def test_an_upstream_that_hangs(
    database_url: str, roots: str, database: asyncpg.Pool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    limits = "limits: {upstream_timeout: 2s}\n"
    silent: dict[str, Fault] = {
        "reads nothing": opens(door(then="hang")),
        "reads all": reads(hang),
        "half a head": reads(raw(b"HTTP/1.1 201 Ma", then="hang")),
    }

    async def silent_one(proxy: ProxyProcess, fault: Fault, method: str) -> None:
        async with Upstream() as upstream:
            fault(upstream)
            url = a_payment(upstream.url)
            first = await pay(proxy, method, url)

            assert (first.status, first.slug) == (504, "upstream-timeout"), method
            await stays_in_doubt(proxy, upstream, database, method, first, url)

    async def silent_amid_the_body(proxy: ProxyProcess, method: str) -> None:
        async with Upstream() as upstream:
            upstream.will(raw(HALF, then="hang"))
            url = a_payment(upstream.url)
            with pytest.raises(asyncio.IncompleteReadError):  # it got what there was, and no end
                await pay(proxy, method, url)
            while await state_of(database, url) == "claimed":
                pass
            again = await pay(proxy, method, url)

            assert again.slug == "outcome-unknown", method
            await stays_in_doubt(proxy, upstream, database, method, again, url)

    data_dir = tmp_path_factory.mktemp("impatient")
    async with ProxyProcess(data_dir, database_url, roots + limits) as proxy:
        await asyncio.gather(
            *(silent_one(proxy, fault, method) for fault in silent.values() for method in METHODS),
            *(silent_amid_the_body(proxy, method) for method in METHODS),
        )


async def test_an_upstream_that_closes_idle_connections_at_once(
    proxy: ProxyProcess, database: asyncpg.Pool
) -> None:
    async with Upstream() as upstream, connected(proxy.url) as client:
        upstream.always = closing(answer())
        for number in range(200):
            method = METHODS[number % 3]
            reply = await client.ask(a_request(method, f"{upstream.url}/{number}"))
            assert reply.status == 201, (number, method)

        assert upstream.executions == 200
        states = await database.fetch(
            "SELECT state, count(*) FROM receipts WHERE url LIKE $1 GROUP BY state", f"{upstream.url}/%"
        )
        assert [tuple(row) for row in states] == [("completed", 200)]
