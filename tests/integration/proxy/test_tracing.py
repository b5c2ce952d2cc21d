"""Traces are made where the environment asks for them; what clients say of theirs goes through, else."""

from __future__ import annotations

from pathlib import Path

from onceproxy.serve import Proxy
from proxies import ProxyProcess
from raw_client import post
from upstreams import Upstream, answer


async def test_trace_headers_go_through_untouched(proxy: Proxy, upstream: Upstream) -> None:
    lines = ("TraceParent: 00-odd  ", "tracestate: a=1", "Tracestate: b=2 ", "baggage: c=3")
    await post(proxy.url, f"{upstream.url}/pay", "Idempotency-Key: k1", *lines)

    [seen] = upstream.requests
    assert b"\r\nTraceParent: 00-odd\r\ntracestate: a=1\r\nTracestate: b=2\r\nbaggage: c=3\r\n" in seen.raw


async def test_a_process_hands_over_its_traces_where_the_environment_says(
    database_url: str, tmp_path: Path, upstream: Upstream
) -> None:
    async with Upstream(always=answer(200, b"")) as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "payments-proxy"}
        async with ProxyProcess(tmp_path / "data", database_url, environment=environment) as process:
            await post(process.url, f"{upstream.url}/pay", "Idempotency-Key: k1")

        # What had ended was handed over at the stop at the latest.
        handed_over = b"".join(seen.body for seen in collector.requests)
    assert {seen.target for seen in collector.requests} == {"/v1/traces"}
    for words in (b"payments-proxy", b"POST default", b"upstream", b"onceproxy.request_id"):
        assert words in handed_over
    assert len(upstream.requests[0].all("traceparent")) == 1
