"""Traces through a real proxy, with the SDK: one span a request, and one for each stage within it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.testing import capture_logs

from onceproxy.config.model import Settings
from onceproxy.serve import Proxy, start
from onceproxy.signals.otel import OtelTracer
from raw_client import a_request, ask, post
from upstreams import Upstream, after, answer, close

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"traceparent: 00-{TRACE}-{CALLER}-01"
KEY = "Idempotency-Key: k1"


@dataclass
class Traced:
    """A proxy that traces, and the spans that have ended so far."""

    proxy: Proxy
    exporter: InMemorySpanExporter

    def spans(self) -> dict[str, ReadableSpan]:
        """By name; of two of one name, the last."""
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
async def traced(database_url: str, tmp_path: Path) -> AsyncIterator[Traced]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = Settings.model_validate(
        {
            "listen": "127.0.0.1:0",
            "admin": {"listen": "127.0.0.1:0"},
            "database": database_url,
            "data_dir": str(tmp_path / "data"),
            "limits": {"request_body": "4KiB"},
        }
    )
    proxy = await start(settings, tracer=OtelTracer(provider))
    yield Traced(proxy, exporter)
    await proxy.stop(grace=0)


def _id(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.span_id:016x}"


def _trace(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


def _parent(span: ReadableSpan) -> str | None:
    return f"{span.parent.span_id:016x}" if span.parent is not None else None


async def test_one_span_a_request_and_one_for_each_stage(traced: Traced, upstream: Upstream) -> None:
    with capture_logs() as logs:
        reply = await post(traced.proxy.url, f"{upstream.url}/pay", KEY, PARENT, "tracestate: a=1,b=2")

    spans = traced.spans()
    root = spans.pop("POST default")
    assert set(spans) == {"identity", "claim", "upstream", "complete"}
    assert {_parent(span) for span in spans.values()} == {_id(root)}
    assert {_trace(span) for span in spans.values()} == {TRACE}
    assert (_parent(root), root.kind) == (CALLER, SpanKind.SERVER)
    assert spans["upstream"].kind is SpanKind.CLIENT
    assert dict(root.attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "url.full": f"{upstream.url}/pay",
        "onceproxy.request_id": reply.one("Onceproxy-Request-Id"),
        "onceproxy.route": "default",
        "onceproxy.decision": "execute",
        "onceproxy.outcome": "completed",
        "onceproxy.reason": "status-201",
        "onceproxy.attempt": 1,
    }
    # The upstream goes on from the span that waits for it.
    [seen] = upstream.requests
    assert seen.all("traceparent") == [f"00-{TRACE}-{_id(spans['upstream'])}-01"]
    assert seen.all("tracestate") == ["a=1,b=2"]
    [line] = [line for line in logs if line["event"] == "decision"]
    assert line["trace_id"] == TRACE


async def test_a_replay_has_no_upstream_and_a_trace_of_its_own(traced: Traced, upstream: Upstream) -> None:
    await post(traced.proxy.url, f"{upstream.url}/pay", KEY, PARENT)
    traced.exporter.clear()

    reply = await post(traced.proxy.url, f"{upstream.url}/pay", KEY)

    assert reply.replayed
    spans = traced.spans()
    assert set(spans) == {"POST default", "identity", "claim"}
    assert (spans["POST default"].attributes or {})["onceproxy.decision"] == "replay"
    assert _trace(spans["POST default"]) != TRACE
    assert upstream.executions == 1


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("traceparent: nonsense",),
        ("traceparent: 00-00000000000000000000000000000000-0000000000000000-01",),
        (PARENT, PARENT),
    ],
)
async def test_without_a_valid_parent_a_trace_begins(
    traced: Traced, upstream: Upstream, lines: tuple[str, ...]
) -> None:
    await post(traced.proxy.url, f"{upstream.url}/pay", KEY, *lines, "tracestate: a=1")

    root = traced.spans()["POST default"]
    assert root.parent is None
    [seen] = upstream.requests
    [told] = seen.all("traceparent")
    assert told.startswith(f"00-{_trace(root)}-{_id(traced.spans()['upstream'])}-0")
    assert int(told[-2:], 16) & 1  # sampled; that it was drawn at random may be told as well
    assert seen.all("tracestate") == []


async def test_what_a_caller_does_not_sample_is_not_recorded_and_passed_on_as_such(
    traced: Traced, upstream: Upstream
) -> None:
    await post(traced.proxy.url, f"{upstream.url}/pay", KEY, f"traceparent: 00-{TRACE}-{CALLER}-00")

    assert traced.spans() == {}
    [parent] = upstream.requests[0].all("traceparent")
    assert parent.startswith(f"00-{TRACE}-")
    assert parent.endswith("-00")


async def test_reads_are_traced_as_well(traced: Traced, upstream: Upstream) -> None:
    await ask(traced.proxy.url, a_request("GET", f"{upstream.url}/read?token=s3cr3t", PARENT))

    spans = traced.spans()
    assert set(spans) == {"GET default", "upstream"}
    assert dict(spans["GET default"].attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 201,
        "onceproxy.route": "default",
        "onceproxy.decision": "pass",
        "onceproxy.outcome": "answered",
    }
    assert upstream.requests[0].all("traceparent") == [f"00-{TRACE}-{_id(spans['upstream'])}-01"]


async def test_an_outcome_that_nobody_knows_is_told_with_its_evidence(
    traced: Traced, upstream: Upstream
) -> None:
    upstream.will(close)
    await post(traced.proxy.url, f"{upstream.url}/pay", KEY)

    spans = traced.spans()
    root = spans["POST default"]
    assert (root.attributes or {})["onceproxy.outcome"] == "in_doubt"
    assert (root.attributes or {})["error.type"] == "in_doubt"
    assert {root.status.status_code, spans["upstream"].status.status_code} == {StatusCode.ERROR}
    assert (spans["complete"].attributes or {})["onceproxy.outcome"] == "in_doubt"
    assert dict(spans["upstream"].attributes or {}) == {
        "onceproxy.phase": "sent",
        "error.type": "connection-lost",
    }


async def test_a_refusal_is_no_failure(traced: Traced, upstream: Upstream) -> None:
    await post(traced.proxy.url, f"{upstream.url}/pay", f"Idempotency-Key: {256 * 'k'}")
    await post(traced.proxy.url, f"{upstream.url}/pay", "Idempotency-Key: k2", body=b"x" * 5000)
    await post(traced.proxy.url, f"{upstream.url}/pay", KEY, body=b"one")
    await post(traced.proxy.url, f"{upstream.url}/pay", KEY, body=b"another")

    roots = [span for span in traced.exporter.get_finished_spans() if span.kind is SpanKind.SERVER]
    assert len(roots) == 4
    assert {span.status.status_code for span in roots} == {StatusCode.UNSET}


async def test_no_secret_is_in_a_span(traced: Traced, upstream: Upstream) -> None:
    secret = "sk_live_51Hxyzzy"
    await post(
        traced.proxy.url,
        f"{upstream.url}/pay?api_key={secret}",
        f"Authorization: Bearer {secret}",
        f"Idempotency-Key: {secret}",
        body=secret.encode(),
    )

    told = "".join(span.to_json() for span in traced.exporter.get_finished_spans())
    assert secret not in told
    assert f"{upstream.url}/pay" in told


async def test_strange_methods_name_no_spans(traced: Traced, upstream: Upstream) -> None:
    await ask(traced.proxy.url, a_request("PROPFIND", f"{upstream.url}/pot", body=b""))

    assert (traced.spans()["_OTHER default"].attributes or {})["http.request.method"] == "_OTHER"


async def test_concurrent_requests_keep_their_traces_apart(traced: Traced, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.always = after(gate, answer(201))
    asking = [
        asyncio.create_task(
            post(
                traced.proxy.url,
                f"{upstream.url}/{n}",
                f"Idempotency-Key: k{n}",
                f"traceparent: 00-{n:032x}-{CALLER}-01",
            )
        )
        for n in range(1, 9)
    ]
    await upstream.arrived(8)
    gate.set()
    await asyncio.gather(*asking)

    by_target = {seen.target: seen.all("traceparent")[0].split("-")[1] for seen in upstream.requests}
    assert by_target == {f"/{n}": f"{n:032x}" for n in range(1, 9)}
    traces: dict[str, set[str]] = {}
    for span in traced.exporter.get_finished_spans():
        traces.setdefault(_trace(span), set()).add(span.name)
    assert traces == {
        f"{n:032x}": {"POST default", "identity", "claim", "upstream", "complete"} for n in range(1, 9)
    }
