"""A database that answers with errors: it is asked again, and never is the upstream asked for that."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from faults.conftest import StartProxy
from proxies import ProxyProcess
from raw_client import Reply, a_request, ask, post
from upstreams import Upstream, after, answer

METHODS = ("POST", "PUT", "DELETE")

PASSING = {
    "40001": "serialization failure",
    "40P01": "deadlock",
    "55P03": "lock not available",
    "57014": "statement timeout",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "25006": "read-only, as a standby is",
    "57P01": "shutdown",
    "58030": "I/O error",
}

FAULTS = """
CREATE TABLE faults (url text, state text, sqlstate text, times bigint, counter text);
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fault faults;
BEGIN
    SELECT * INTO fault FROM faults WHERE url = NEW.url AND state = NEW.state;
    IF FOUND AND nextval(fault.counter) <= fault.times THEN
        RAISE EXCEPTION 'made by a test' USING ERRCODE = fault.sqlstate;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER fails_in_the_statement AFTER INSERT OR UPDATE ON receipts
    FOR EACH ROW EXECUTE FUNCTION fail();
"""
IN_THE_COMMIT = """
DROP TRIGGER fails_in_the_statement ON receipts;
CREATE CONSTRAINT TRIGGER fails_in_the_commit AFTER INSERT OR UPDATE ON receipts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();
"""
ALWAYS = 1 << 40


class Faults:
    """Makes the database fail where a receipt of a URL comes to a state."""

    def __init__(self, database: asyncpg.Connection) -> None:
        self._database = database
        self._made = 0

    async def make(self, url: str, state: str, sqlstate: str, times: int) -> None:
        self._made += 1
        counter = f"fault_{self._made}"
        await self._database.execute(f"CREATE SEQUENCE {counter}")
        await self._database.execute(
            "INSERT INTO faults VALUES ($1, $2, $3, $4, $5)", url, state, sqlstate, times, counter
        )

    async def end(self) -> None:
        await self._database.execute("DELETE FROM faults")


async def faults_in(database: asyncpg.Connection, place: str) -> Faults:
    await database.execute(FAULTS)
    if place == "commit":
        await database.execute(IN_THE_COMMIT)
    return Faults(database)


async def pay(proxy: ProxyProcess, method: str, url: str) -> Reply:
    return await ask(proxy.url, a_request(method, url, body=b"1"))


@pytest.mark.parametrize("place", ["statement", "commit"])
async def test_what_passes_is_waited_out(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection, place: str
) -> None:
    faults = await faults_in(database, place)
    proxy = await start_proxy()
    actions = [
        (METHODS[at % 3], f"{upstream.url}/{state}/{sqlstate}")
        for state in ("claimed", "completed")
        for at, sqlstate in enumerate(PASSING)
    ]
    for _, url in actions:
        await faults.make(url, url.split("/")[-2], url.split("/")[-1], 2)

    replies = await asyncio.gather(*(pay(proxy, method, url) for method, url in actions))
    copies = await asyncio.gather(*(pay(proxy, method, url) for method, url in actions))

    assert [(reply.status, reply.replayed) for reply in replies] == [(201, False)] * len(actions)
    assert [(copy.own, copy.replayed) for copy in copies] == [(reply.own, True) for reply in replies]
    assert upstream.executions == len(actions)


async def test_what_stays_stops_claims_and_loses_no_answer(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    faults = await faults_in(database, "commit")
    proxy = await start_proxy()
    claims = [f"{upstream.url}/claimed/{sqlstate}" for sqlstate in PASSING]
    completions = [f"{upstream.url}/completed/{sqlstate}" for sqlstate in PASSING]
    for url in claims + completions:
        await faults.make(url, url.split("/")[-2], url.split("/")[-1], ALWAYS)
    completing = [asyncio.create_task(post(proxy.url, url)) for url in completions]

    refused = await asyncio.gather(*(post(proxy.url, url) for url in claims))

    assert {(reply.status, reply.slug) for reply in refused} == {(503, "store-unavailable")}
    assert {seen.target.split("/")[1] for seen in upstream.requests} == {"completed"}
    assert not any(task.done() for task in completing)  # nobody sees an answer that is not stored

    await faults.end()
    answered = await asyncio.gather(*completing)
    assert [(reply.status, reply.replayed) for reply in answered] == [(201, False)] * len(completions)
    again = [await post(proxy.url, url) for url in completions + claims]
    assert [reply.status for reply in again] == [201] * len(again)
    assert [reply.own for reply in again[: len(completions)]] == [reply.own for reply in answered]
    assert upstream.executions == len(completions) + len(claims)


async def test_a_database_that_turned_read_only(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    name = await database.fetchval("SELECT current_database()")
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onceproxy'"
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    proxy = await start_proxy()
    paying = asyncio.create_task(post(proxy.url, f"{upstream.url}/charges"))
    await upstream.arrived(1)
    await database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await database.execute(cut)

    refused = await post(proxy.url, f"{upstream.url}/other")
    gate.set()
    await proxy.says("receipt-spooled")

    assert (refused.status, refused.slug) == (503, "store-unavailable")
    assert upstream.executions == 1
    assert not paying.done()

    # As when a multi-host URL leads to the new primary: the connections that are there are of no use.
    await database.execute("SET default_transaction_read_only = off")
    await database.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    reply = await paying
    assert (reply.status, reply.replayed) == (201, False)
    assert (await post(proxy.url, f"{upstream.url}/charges")).replayed
    assert (await post(proxy.url, f"{upstream.url}/other")).status == 201
    assert upstream.executions == 2


async def test_a_pool_that_is_exhausted(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    contended = [f"{upstream.url}/contended/{number}" for number in range(11)]
    gate = asyncio.Event()
    proxy = await start_proxy()
    upstream.will(*(answer(429) for _ in contended), after(gate, answer()))
    for url in contended:
        assert (await post(proxy.url, url)).status == 429
    paying = asyncio.create_task(post(proxy.url, f"{upstream.url}/charges"))
    await upstream.arrived(12)
    async with database.transaction():
        # Whoever claims one of them now waits for its row, with a connection in hand.
        await database.execute("SELECT FROM receipts WHERE state = 'released' FOR UPDATE")
        contending = [asyncio.create_task(post(proxy.url, url)) for url in contended[1:]]
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(20):
            while await database.fetchval(waiting) < 7:  # of 10 connections, 3 are for settlements
                await asyncio.sleep(0.01)
        gate.set()
        reply = await paying
        refused = await post(proxy.url, contended[0])

        assert (reply.status, reply.replayed) == (201, False)
        assert (refused.status, refused.slug) == (503, "store-unavailable")
        assert upstream.executions == 12
    assert {reply.status for reply in await asyncio.gather(*contending)} <= {201, 503}
    for url in contended:
        assert (await post(proxy.url, url)).status == 201
    assert upstream.executions == 23
