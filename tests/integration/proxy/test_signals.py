"""What can be seen of requests from outside: counts, durations, and one line of the log for each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from integration.proxy.conftest import StartProxy
from onceproxy.serve import Proxy
from raw_client import RawClient, a_request, ask, connected, post
from upstreams import Upstream, after, answer, close

Lines = Callable[[], list[MutableMapping[str, Any]]]
Key = "Idempotency-Key: k1"
ORDER = ("route", "decision", "outcome", "kind", "lane", "version", "le")

DOCS = Path(__file__).parents[3] / "docs" / "observing.md"


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Gives the decisions that were logged so far."""
    with capture_logs() as logs:
        yield lambda: [line for line in logs if line["event"] == "decision"]


async def page(proxy: Proxy) -> dict[str, dict[tuple[str, ...], float]]:
    """What is counted: by the name of the sample, and the values of its labels."""
    reply = await ask(proxy.admin_url, a_request("GET", "/metrics"))
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(reply.body.decode()):
        for sample in family.samples:
            labels = sorted(sample.labels, key=ORDER.index)
            found.setdefault(sample.name, {})[tuple(sample.labels[name] for name in labels)] = sample.value
    return found


async def test_each_request_is_counted_by_what_became_of_it(
    proxy: Proxy, upstream: Upstream, lines: Lines
) -> None:
    upstream.will(answer(201), close, answer(200))
    await post(proxy.url, f"{upstream.url}/pay", Key)
    await post(proxy.url, f"{upstream.url}/pay", Key)
    for _ in range(2):
        await post(proxy.url, f"{upstream.url}/lost", "Idempotency-Key: k2")
    await ask(proxy.url, a_request("GET", f"{upstream.url}/read"))
    await post(proxy.url, f"{upstream.url}/pay", f"Idempotency-Key: {256 * 'k'}")
    await ask(proxy.url, a_request("POST", "/nowhere", body=b""))

    counted = await page(proxy)

    assert upstream.executions == 2
    assert counted["onceproxy_requests_total"] == {
        ("default", "execute", "completed"): 1,
        ("default", "replay", "completed"): 1,
        ("default", "execute", "in_doubt"): 1,
        ("default", "refuse", "outcome-unknown"): 1,
        ("default", "pass", "answered"): 1,
        ("default", "refuse", "bad-key"): 1,
        ("", "refuse", "bad-request"): 1,
    }
    assert counted["onceproxy_saved_executions_total"] == {("default",): 2}
    assert counted["onceproxy_attempts_total"] == {("default", "completed"): 1, ("default", "in_doubt"): 1}
    assert counted["onceproxy_claim_duration_seconds_count"] == {(): 4}
    assert counted["onceproxy_upstream_duration_seconds_count"] == {("default",): 3}
    assert counted["onceproxy_complete_duration_seconds_count"] == {(): 2}
    assert counted["onceproxy_request_duration_seconds_count"]["default", "execute"] == 2
    assert counted["onceproxy_ready"] == {(): 1}
    assert [(line["decision"], line["outcome"]) for line in lines()] == [
        ("execute", "completed"),
        ("replay", "completed"),
        ("execute", "in_doubt"),
        ("refuse", "outcome-unknown"),
    ]


async def test_the_line_of_an_execution_has_all_its_fields(
    proxy: Proxy, upstream: Upstream, lines: Lines
) -> None:
    upstream.will(answer(201, b"{}"))
    reply = await post(proxy.url, f"{upstream.url}/pay?card=4242", Key, body=b"12345")

    [line] = lines()
    assert re.findall(r"^\| `(\w+)` \|", DOCS.read_text("utf-8"), re.MULTILINE) == list(line)[:-2]
    assert line["request_id"] == reply.one("Onceproxy-Request-Id")
    assert (line["status"], line["attempt"], line["state"]) == (201, 1, "completed")
    assert (line["request_bytes"], line["response_bytes"], line["trace_id"]) == (5, 2, None)
    stages = [line[f"{stage}_seconds"] for stage in ("identity", "claim", "upstream", "complete")]
    assert all(isinstance(seconds, float) for seconds in stages)
    assert sum(stages) <= line["seconds"] + 0.001  # each is rounded to a tenth of a millisecond


async def test_a_request_whose_client_has_left_has_its_line_when_it_has_ended(
    proxy: Proxy, upstream: Upstream, lines: Lines
) -> None:
    gate = asyncio.Event()
    upstream.will(after(gate, answer(201)))
    async with connected(proxy.url) as client:
        await client.send(a_request("POST", f"{upstream.url}/pay", Key, body=b""))
        await upstream.arrived(1)
    gate.set()
    replay = await post(proxy.url, f"{upstream.url}/pay", Key, body=b"")

    assert replay.replayed
    async with asyncio.timeout(20):
        while len(lines()) < 2:
            await asyncio.sleep(0.01)
    assert {(line["decision"], line["outcome"]) for line in lines()} == {
        ("execute", "completed"),
        ("replay", "completed"),
    }
    counted = await page(proxy)
    assert counted["onceproxy_attempts_total"] == {("default", "completed"): 1}


async def test_what_mode_observe_sends_is_told_apart(
    start_proxy: StartProxy, upstream: Upstream, lines: Lines
) -> None:
    proxy = await start_proxy(defaults={"mode": "observe"})
    for _ in range(2):
        await post(proxy.url, f"{upstream.url}/pay", Key)

    assert [(line["decision"], line["outcome"], line["reason"]) for line in lines()] == [
        ("execute", "completed", "status-201"),
        ("execute", "observed", "would-replay"),
    ]


async def test_tunnels_are_counted_while_they_are_open(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(tls={"intercept": False})
    async with connected(proxy.url) as client:
        await client.connect(upstream.url.removeprefix("http://"))
        opened = await page(proxy)
        await _left(client)
    await _until_page(proxy, "onceproxy_tunnels_open", {("connect",): 0})

    assert opened["onceproxy_tunnels_open"] == {("connect",): 1}
    assert (await page(proxy))["onceproxy_tunnels_total"] == {("connect",): 1}


async def test_levels_are_there_from_the_start(
    start_proxy: StartProxy, proxy: Proxy, upstream: Upstream
) -> None:
    upstream.will(close)
    await post(proxy.url, f"{upstream.url}/lost", Key)

    later = await page(await start_proxy())

    assert later["onceproxy_receipts_in_doubt"] == {(): 1}
    assert later["onceproxy_receipts_in_doubt_oldest_age_seconds"][()] > 0
    assert later["onceproxy_spool_receipts"] == {(): 0}


async def _left(client: RawClient) -> None:
    client.writer.close()
    await client.writer.wait_closed()


async def _until_page(proxy: Proxy, name: str, values: dict[tuple[str, ...], float]) -> None:
    async with asyncio.timeout(20):
        while (await page(proxy)).get(name) != values:
            await asyncio.sleep(0.01)
