"""Workers behind one port are one proxy: for clients, for who looks after it, and when something dies."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from faults.conftest import Serve, StartProxy
from proxies import ProxyProcess
from raw_client import Reply, a_request, ask, connected, post
from servers import children_of
from upstreams import PATIENCE, Upstream, after, answer

TWO = ("--workers", "2")
COPIES = 20  # connections; that one of two workers gets them all happens once in half a million times
LOST = (asyncio.IncompleteReadError, ConnectionError)
NO_LEASE_ENDS = "limits: {lease: 1h}\n"
OWNERS = """
    SELECT DISTINCT i.pid FROM receipts r JOIN instances i ON i.instance_id = r.instance WHERE r.url LIKE $1
"""


def workers_of(proxy: ProxyProcess) -> list[int]:
    assert proxy.process is not None
    return children_of(proxy.process.pid)


async def owners(database: asyncpg.Connection, path: str) -> set[int]:
    """The workers that hold, or held, the claims on a path."""
    return {row["pid"] for row in await database.fetch(OWNERS, f"%{path}")}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def refused(url: str) -> bool:
    try:
        async with connected(url):
            return False
    except ConnectionError:
        return True


async def observed(proxy: ProxyProcess) -> float:
    page = (await ask(proxy.admin_url, a_request("GET", "/metrics"))).body.decode()
    return sum(map(float, re.findall(r"^onceproxy_observed_total\{.*\} (\S+)$", page, re.MULTILINE)))


async def told(asked: list[asyncio.Task[Reply]]) -> list[Reply]:
    """The replies that arrived; those that a worker took along are left out."""
    found = await asyncio.gather(*asked, return_exceptions=True)
    replies = [one for one in found if isinstance(one, Reply)]
    assert all(isinstance(one, (Reply, *LOST)) for one in found)
    return replies


async def test_two_serve_one_port_as_one(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer(201, b"paid")))
    routes = "routes:\n- {name: seen, match: {path: /seen}, mode: observe}\n"
    proxy = await start_proxy(arguments=TWO, config=routes)
    copies = [asyncio.create_task(post(proxy.url, f"{upstream.url}/paid")) for _ in range(COPIES)]
    await upstream.arrived(1)
    others = await asyncio.gather(*(post(proxy.url, f"{upstream.url}/n{n}/own") for n in range(COPIES)))
    gate.set()
    replies = await asyncio.gather(*copies)

    assert {reply.own for reply in replies} == {replies[0].own}
    assert sum(not reply.replayed for reply in replies) == 1
    assert [reply.replayed for reply in others] == [False] * COPIES
    assert upstream.executions == 1 + COPIES
    workers = workers_of(proxy)
    assert len(workers) == 2
    assert await owners(database, "/own") == set(workers)

    for own in (proxy.url, proxy.admin_url):
        assert (await post(proxy.url, f"{own}/metrics")).slug == "egress-denied"

    await post(proxy.url, f"{upstream.url}/seen")
    await asyncio.gather(*(post(proxy.url, f"{upstream.url}/seen") for _ in range(COPIES)))
    assert await observed(proxy) == COPIES

    os.kill(workers[0], signal.SIGKILL)
    await proxy.says("worker-ended")
    assert await observed(proxy) == COPIES
    assert await proxy.stop() == 0


async def test_a_worker_that_is_killed(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    proxy = await start_proxy(arguments=TWO, config=NO_LEASE_ENDS)
    target = f"{upstream.url}/charges"
    paying = [asyncio.create_task(post(proxy.url, target))]
    await upstream.arrived(1)
    paying += [asyncio.create_task(post(proxy.url, target)) for _ in range(COPIES)]
    # Those were asked later, so the copies have met the claim by now, and wait.
    await asyncio.gather(*(post(proxy.url, f"{upstream.url}/n{n}/own") for n in range(COPIES)))
    before = set(workers_of(proxy))
    [owner] = await owners(database, "/charges")

    os.kill(owner, signal.SIGKILL)

    replies = await told(paying)
    assert replies, "none of the copies waited at the other worker"
    replies.append(await post(proxy.url, target))
    assert {(reply.status, reply.slug) for reply in replies} == {(409, "outcome-unknown")}
    gate.set()
    assert upstream.executions == 1 + COPIES

    await until(lambda: len(set(workers_of(proxy)) - before) == 1)
    [third] = set(workers_of(proxy)) - before
    async with asyncio.timeout(PATIENCE):
        for n in itertools.count():
            await post(proxy.url, f"{upstream.url}/n{n}/again")
            if third in await owners(database, "/again"):
                break
    assert await proxy.stop() == 0


async def test_a_stop_lets_both_end_what_they_do(
    start_proxy: StartProxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    gate = asyncio.Event()
    upstream.always = after(gate, answer())
    proxy = await start_proxy(arguments=TWO)
    assert proxy.process is not None
    paying = [asyncio.create_task(post(proxy.url, f"{upstream.url}/n{n}/own")) for n in range(COPIES)]
    await upstream.arrived(COPIES)
    workers = workers_of(proxy)
    assert await owners(database, "/own") == set(workers)

    proxy.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        while not await refused(proxy.url):
            pass
    # systemd tells each process of a service, in whatever order. That is no second signal.
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    gate.set()

    assert {reply.status for reply in await asyncio.gather(*paying)} == {201}
    assert await proxy.ended() == 0
    assert upstream.executions == COPIES
    assert await database.fetchval("SELECT count(*) FROM receipts WHERE state = 'completed'") == COPIES


async def test_a_second_signal_hurries_both(start_proxy: StartProxy, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.always = after(gate, answer())
    proxy = await start_proxy(arguments=(*TWO, "--grace", "3600"))
    assert proxy.process is not None
    paying = [asyncio.create_task(post(proxy.url, f"{upstream.url}/n{n}")) for n in range(COPIES)]
    await upstream.arrived(COPIES)

    proxy.process.send_signal(signal.SIGINT)
    await proxy.says("stopping")
    proxy.process.send_signal(signal.SIGINT)

    assert {reply.slug for reply in await asyncio.gather(*paying)} == {"shutting-down"}
    gate.set()
    assert await proxy.ended() == 0


async def test_a_supervisor_that_is_killed(
    start_proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer()))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    proxy = await start_proxy(arguments=TWO, environment={"TMPDIR": str(scratch)})
    assert list(scratch.iterdir())
    assert proxy.process is not None
    paying = asyncio.create_task(post(proxy.url, f"{upstream.url}/charges"))
    await upstream.arrived(1)

    proxy.process.kill()
    await proxy.says("supervisor-gone")
    gate.set()

    assert (await paying).status == 201
    assert await proxy.ended() == -signal.SIGKILL  # and nobody is left who holds its stderr
    assert not list(scratch.iterdir())
    where = urlsplit(proxy.url)
    with socket.create_server((str(where.hostname), where.port or 0)):
        pass


async def test_who_is_silent_is_not_ready_and_a_reload_reaches_all(
    start_proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    proxy = await start_proxy(arguments=TWO, config="limits: {lease: 1s}\n")
    assert proxy.process is not None
    file = tmp_path / "data" / "onceproxy.yaml"
    workers = workers_of(proxy)
    for signalled, status in ((signal.SIGSTOP, 503), (signal.SIGCONT, 200)):
        for pid in workers:
            os.kill(pid, signalled)
        async with asyncio.timeout(PATIENCE):
            while (await ask(proxy.admin_url, a_request("GET", "/readyz"))).status != status:
                await asyncio.sleep(0.01)

    async def mounted() -> bool:
        asked = [asyncio.create_task(ask(proxy.url, a_request("GET", "/there/x"))) for _ in range(COPIES)]
        return [reply.status for reply in await told(asked)] == [201] * COPIES

    assert not await mounted()
    before = file.read_text()
    file.write_text(f"{before}mounts: {{/there: '{upstream.url}'}}\n")
    proxy.process.send_signal(signal.SIGHUP)
    await proxy.says("config-reloaded")
    async with asyncio.timeout(PATIENCE):
        while not await mounted():
            pass

    file.write_text("nothing that could be read")
    [one, other] = workers_of(proxy)
    os.kill(one, signal.SIGKILL)
    await until(lambda: len({*workers_of(proxy)} - {one, other}) == 1)
    os.kill(other, signal.SIGTERM)
    await until(lambda: len({*workers_of(proxy)} - {one, other}) == 2)
    async with asyncio.timeout(PATIENCE):
        while not await mounted():
            pass
    assert await proxy.stop() == 0


async def test_they_share_the_embedded_database(start_proxy: StartProxy, upstream: Upstream) -> None:
    # Not below pytest's own directory, which each session that starts closes to the server's user.
    with tempfile.TemporaryDirectory(prefix="onceproxy-") as directory:
        proxy = await start_proxy(database="embedded", data_dir=Path(directory), arguments=TWO)
        replies = await asyncio.gather(*(post(proxy.url, f"{upstream.url}/charges") for _ in range(COPIES)))

        assert sum(not reply.replayed for reply in replies) == 1
        assert upstream.executions == 1
        assert await proxy.stop() == 0
        assert not (Path(directory) / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize("sharing", [False, True], ids=["by another program", "by workers of another"])
async def test_a_port_that_is_taken(serve: Serve, sharing: bool) -> None:
    with socket.socket() as somebody:
        if sharing:
            somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        where = f"127.0.0.1:{somebody.getsockname()[1]}"
        ended = await serve("--listen", where, *TWO)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"onceproxy: listen: can't listen on {where} (")
    assert len(ended.err.splitlines()) == 1


async def test_a_database_that_is_not_there(serve: Serve, tmp_path: Path) -> None:
    url = "postgresql://me:s3cret@127.0.0.1:1/receipts"
    (tmp_path / "onceproxy.yml").write_text("version: 1\nlimits: {database_timeout: 100ms}\n")
    ended = await serve("--config", "onceproxy.yml", "--database", url, *TWO)

    assert (ended.code, ended.out) == (1, "")
    [line] = ended.err.splitlines()
    assert line.startswith("onceproxy: database receipts at 127.0.0.1:1 can't be reached (tried for 0.1 s)")
