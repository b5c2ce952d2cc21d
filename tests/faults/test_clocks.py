"""Clocks that are wrong: the proxies' own decide nothing, and the database's makes nobody send twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from faults.conftest import StartProxy
from raw_client import Reply, post
from upstreams import Upstream, after, answer

HOUR = 3600

# Python imports it at its start if it is in the path: who asks for the time is answered wrongly from then on.
WRONG = """
import time

right, right_ns, right_clock = time.time, time.time_ns, time.clock_gettime
time.time = lambda: right() + {skew}
time.time_ns = lambda: right_ns() + {skew} * 10**9
time.clock_gettime = lambda clock: right_clock(clock) + ({skew} if clock == time.CLOCK_REALTIME else 0)
"""

# The schema of the receipts comes before Postgres's own, and so does what is called like its clock there.
DATABASE_CLOCK = """
CREATE TABLE clock (skew interval);
INSERT INTO clock VALUES ('0');
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
    'SELECT pg_catalog.clock_timestamp() + skew FROM clock';
"""


def wrong_clock(directory: Path, skew: int) -> dict[str, str]:
    """The environment of a process whose clock is ``skew`` seconds off."""
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(WRONG.format(skew=skew))
    return {"PYTHONPATH": str(directory)}


async def pay(url: str, upstream: Upstream, path: str = "charges") -> Reply:
    """Ask until the proxy has a lease."""
    async with asyncio.timeout(20):
        while (reply := await post(url, f"{upstream.url}/{path}")).status == 503:
            assert reply.slug == "store-unavailable"
        return reply


@pytest.mark.parametrize("skew", [-HOUR, HOUR], ids=["slow", "fast"])
async def test_a_proxy_whose_clock_is_wrong(
    start_proxy: StartProxy, upstream: Upstream, tmp_path: Path, skew: int
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    wrong, right = await asyncio.gather(
        start_proxy(
            data_dir=tmp_path / "wrong",
            environment=wrong_clock(tmp_path / "clock", skew),
            config="defaults: {duplicate: conflict}\n",
        ),
        start_proxy(data_dir=tmp_path / "right", config="defaults: {duplicate: conflict}\n"),
    )
    for first, second in ((wrong, right), (right, wrong)):
        gate.clear()
        before = upstream.executions
        url = f"{upstream.url}/charges/{before}"
        paying = asyncio.create_task(post(first.url, url))
        await upstream.arrived(before + 1)

        # The claim is neither over too early nor held for ever: it belongs to one who lives.
        assert (await post(second.url, url)).slug == "in-progress"
        gate.set()
        reply = await paying
        copies = [await post(proxy.url, url) for proxy in (first, second)]

        assert (reply.status, reply.replayed) == (201, False)
        assert [copy.own for copy in copies] == [reply.own] * 2
        assert all(copy.replayed and copy.told["age"] < 60 for copy in copies)
        assert upstream.executions == before + 1
        upstream.will(after(gate, answer()))


@pytest.mark.parametrize("skew", [-HOUR, HOUR], ids=["back", "forward"])
async def test_a_database_whose_clock_jumps(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection, tmp_path: Path, skew: int
) -> None:
    name = await database.fetchval("SELECT current_database()")
    await database.execute(DATABASE_CLOCK)
    await database.execute(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    quick = "limits: {lease: 2s}\ndefaults: {wait: 100ms}\n"
    one, other = await asyncio.gather(
        start_proxy(data_dir=tmp_path / "one", config=quick),
        start_proxy(data_dir=tmp_path / "other", config=quick),
    )
    paying = asyncio.create_task(pay(one.url, upstream))
    await upstream.arrived(1)

    await database.execute("UPDATE clock SET skew = $1 * interval '1 second'", skew)
    copy = await pay(other.url, upstream)
    # Ahead, the lease has run out for all who look; back, it lasts. Nobody sends in either case.
    assert copy.slug == ("outcome-unknown" if skew > 0 else "in-progress")
    gate.set()
    reply = await paying

    assert (reply.status, reply.replayed) == (201, False)
    assert upstream.executions == 1
    # The answer has healed the doubt, if there was one, and both proxies have a lease again.
    for proxy in (one, other):
        assert (await pay(proxy.url, upstream)).replayed
        new = await pay(proxy.url, upstream, proxy.data_dir.name)
        assert (new.status, new.replayed) == (201, False)
    assert upstream.executions == 3
