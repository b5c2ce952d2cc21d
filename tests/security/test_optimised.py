"""A process without its asserts (``python -O``): none of them may be what protects.

And what hostile input leaves in its log and on its page of metrics.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from onceproxy.core.egress import Rule
from onceproxy.core.limits import Limit
from onceproxy.core.passwords import Cost, PasswordHash
from onceproxy.signals.deciding import DECISIONS, OUTCOMES
from onceproxy.store.embedded import EmbeddedServer
from onceproxy.version import __version__
from proxies import ProxyProcess
from raw_client import a_request, ask, connected, post
from security.hostile import FORWARD, read
from security.line import Line
from security.recorder import recording
from security.sending import Trial, run_all
from stores import migrated_database
from upstreams import Upstream

CONFIG = "limits: {header: 8KiB, request_body: 4KiB}\negress: {deny: [denied.example]}\n"
HASH = PasswordHash.of("pw of ann", b"0123456789abcdef", Cost(14, 8, 1))
BOUNDED = {
    *(*Limit, *Rule, *DECISIONS, *OUTCOMES),
    *("default", "claims", "settlements", "notes", "connect", "upgrade", __version__),
    "",  # the route of what was refused before there was one
}
"""What a label may say here, besides the bounds of a histogram's buckets."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(postgres: EmbeddedServer) -> AsyncIterator[str]:
    """A database for all tests of the module."""
    async with migrated_database(postgres) as url:
        yield url


@asynccontextmanager
async def optimised(directory: Path, database: str, config: str) -> AsyncIterator[ProxyProcess]:
    """A proxy whose asserts do nothing."""
    proxy = ProxyProcess(directory, database, config, environment={"PYTHONOPTIMIZE": "1"})
    async with proxy:
        assert proxy.process is not None
        environment = Path(f"/proc/{proxy.process.pid}/environ").read_bytes().split(b"\0")
        assert b"PYTHONOPTIMIZE=1" in environment
        yield proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProxyProcess]:
    """One such proxy for all tests of the module."""
    async with optimised(tmp_path_factory.mktemp("optimised"), database, CONFIG) as process:
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[Upstream]:
    """An upstream that counts."""
    async with Upstream() as one:
        yield one


async def test_what_protects_is_no_assert(proxy: ProxyProcess) -> None:
    async with recording() as recorder:
        line = Line(proxy.url, ssl.create_default_context(), recorder, recorder)
        trials = [Trial(line, FORWARD, item) for inputs in read() for item in inputs.inputs]
        wrong = await run_all(trials) + recorder.take_faults()
    assert not wrong, "\n".join(wrong)
    assert len(trials) > 600


async def test_the_promise_is_no_assert(proxy: ProxyProcess, upstream: Upstream) -> None:
    before = len(upstream.requests)
    key = "Idempotency-Key: one"
    copies = await asyncio.gather(*(post(proxy.url, f"{upstream.url}/pay", key) for _ in range(20)))
    other = await post(proxy.url, f"{upstream.url}/pay", key, body=b"something else")
    denied = await post(proxy.url, "http://denied.example/pay")

    assert len(upstream.requests) - before == 1
    assert sorted(copy.replayed for copy in copies) == [False, *[True] * 19]
    assert (other.status, other.slug) == (422, "key-reused")
    assert (denied.status, denied.slug) == (403, "egress-denied")


async def test_who_is_asked_for_is_no_assert(database: str, upstream: Upstream, tmp_path: Path) -> None:
    before = len(upstream.requests)
    users = f"users: [{{name: ann, password_hash: '{HASH}'}}]\n"
    async with optimised(tmp_path / "data", database, users) as proxy:
        target = f"{upstream.url}/as-ann"
        replies = [
            await post(proxy.url, target, *lines)
            for lines in ((), (_basic("ann", "wrong"),), (_basic("ann", "pw of ann"),))
        ]
        async with connected(proxy.url) as client:
            replies.append(await client.connect(f"127.0.0.1:{upstream.port}"))

    assert [reply.status for reply in replies] == [407, 407, 201, 407]
    assert len(upstream.requests) - before == 1


async def test_each_line_of_the_log_is_one_event_and_labels_are_bounded(
    proxy: ProxyProcess, upstream: Upstream
) -> None:
    nasty = '\r\n{"event": "forged"}\x1b[2J\x9b2J'
    escaped = "%0d%0aforged%1b[2J%c2%9b2J"
    for number in range(60):
        for lines in ((), (_basic(nasty, "pw"),), (f"Onceproxy-Action: {number}{escaped}",)):
            await post(proxy.url, f"{upstream.url}/{number}{escaped}?{escaped}", *lines)
    await post(proxy.url, f"{upstream.url}/header", f"X-Long: {'x' * 9000}")
    await post(proxy.url, "http://denied.example/")
    await ask(proxy.url, f"GET http://{escaped}.example/ HTTP/1.1\r\nHost: it.example\r\n\r\n".encode())
    await post(proxy.url, f"{upstream.url}/last-of-all")
    await proxy.says("/last-of-all")

    assert len(proxy.log) > 100
    for line in proxy.log:
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line)["event"] != "forged"
    page = (await ask(proxy.admin_url, a_request("GET", "/metrics"))).body.decode()
    labels = {
        value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        for name, value in sample.labels.items()
        if name != "le"
    }
    assert {"header", "deny-list", "claims"} <= labels <= BOUNDED


def _basic(user: str, password: str) -> str:
    return "Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
