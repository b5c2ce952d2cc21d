"""Traces by OpenTelemetry, of the packages in ``onceproxy[otel]``: imported only where traces are wanted.

Context goes from span to span by hand. What the library keeps in the context of tasks would be one more thing
to set and reset for each request, and nobody else here looks for it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from onceproxy.core.messages import RawHeaders, header_values
from onceproxy.signals.ports import Span
from onceproxy.version import __version__

LAST_EXPORT = 5.0  # seconds at a stop for spans that are still to be handed over

_W3C = TraceContextTextMapPropagator()
_CARRIERS = (b"traceparent", b"tracestate")


class OtelSpan:
    """One span of the library's."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    def child(self, name: str, *, outwards: bool = False) -> Span:
        """Begin a span within this one."""
        kind = SpanKind.CLIENT if outwards else SpanKind.INTERNAL
        inside = trace.set_span_in_context(self._span)
        return OtelSpan(self._tracer, self._tracer.start_span(name, inside, kind))

    def set(self, name: str, value: str | int | None) -> None:
        """Set an attribute; None leaves it out."""
        if value is not None:
            self._span.set_attribute(name, value)

    def named(self, name: str) -> None:
        """Give it another name."""
        self._span.update_name(name)

    def carried(self, headers: RawHeaders) -> RawHeaders:
        """Return headers that name this span as the parent (W3C Trace Context §3.4)."""
        ours: dict[str, str] = {}
        _W3C.inject(ours, trace.set_span_in_context(self._span))
        kept = tuple(line for line in headers if line[0].lower() not in _CARRIERS)
        return kept + tuple((name.encode("ascii"), value.encode("ascii")) for name, value in ours.items())

    def failed(self, kind: str) -> None:
        """Mark it as a failure."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)

    def end(self, error: BaseException | None = None) -> None:
        """End it."""
        if error is not None:
            self.failed(type(error).__name__)
        self._span.end()


class OtelTracer:
    """Makes spans with a provider of the SDK."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("onceproxy", __version__)

    def begin(self, headers: RawHeaders) -> Span:
        """Begin the span of a request, in the trace that its one ``traceparent`` names, if that is valid."""
        carrier: dict[str, list[str]] = {}
        parents = header_values(headers, "traceparent")
        if len(parents) == 1:
            carrier["traceparent"] = [parents[0].strip().decode("latin-1")]
            states = [value.decode("latin-1") for value in header_values(headers, "tracestate")]
            if states:
                carrier["tracestate"] = states
        span = self._tracer.start_span("request", _W3C.extract(carrier), SpanKind.SERVER)
        return OtelSpan(self._tracer, span)

    def close(self) -> None:
        """Hand over what has ended, for some seconds at most: a collector that is away holds up no stop."""
        closing = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(LAST_EXPORT)


def tracer_of(environ: Mapping[str, str]) -> OtelTracer:
    """Return the tracer that the environment describes by the variables of OpenTelemetry.

    Raises:
        ImportError: the exporter is not installed.
        ValueError: they ask for what is not to be had.
    """
    # What the environment says wins over ours.
    ours = Resource({"service.name": "onceproxy", "service.version": __version__})
    resource = ours.merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter(environ)))
    return OtelTracer(provider)


def _exporter(environ: Mapping[str, str]) -> SpanExporter:
    wanted = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    if wanted == "console":
        return ConsoleSpanExporter()
    if wanted != "otlp":
        raise ValueError(f"OTEL_TRACES_EXPORTER: {wanted} is none of otlp, console and none")
    names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((environ[name] for name in names if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise ValueError(f"{names[1]}: {protocol} is not spoken here; use http/protobuf (port 4318)")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
