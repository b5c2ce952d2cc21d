"""Whether there are traces, and where they go, is said by the environment."""

from __future__ import annotations

import sys

import pytest
from structlog.testing import capture_logs

from onceproxy.signals.otel import tracer_of
from onceproxy.tracing import tracer_from, wanted

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("environ", "yes"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "None"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "false"}, True),
        ({"OTEL_SERVICE_NAME": "payments"}, False),
    ],
)
def test_traces_are_made_where_they_can_go_somewhere(environ: dict[str, str], yes: bool) -> None:
    assert wanted(environ) is yes


def test_nobody_who_did_not_ask_gets_any() -> None:
    assert tracer_from({}) is None


def test_without_the_packages_it_serves_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "onceproxy.signals.otel")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with capture_logs() as logs:
        assert tracer_from(ENDPOINT) is None

    [line] = logs
    assert (line["event"], line["hint"]) == ("no-traces", "pip install 'onceproxy[otel]'")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin is none of otlp, console and none"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc is not spoken here"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "http/json is not spoken here"),
    ],
)
def test_what_is_not_to_be_had_is_told(environ: dict[str, str], words: str) -> None:
    with capture_logs() as logs:
        assert tracer_from(environ) is None

    assert words in logs[0]["error"]


def test_the_service_is_called_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def name() -> object:
        tracer = tracer_of({"OTEL_TRACES_EXPORTER": "console"})
        attributes = tracer._provider.resource.attributes
        tracer.close()
        return attributes["service.name"]

    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    assert name() == "onceproxy"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "payments-proxy")
    assert name() == "payments-proxy"
