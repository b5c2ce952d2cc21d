"""Whether there are traces: the environment says so, by the variables that OpenTelemetry has for that."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import structlog

from onceproxy.signals.ports import Tracer

log = structlog.get_logger("onceproxy")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def wanted(environ: Mapping[str, str]) -> bool:
    """Say whether the environment asks for traces: by an exporter, or a place to send them to."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return exporter != "none" if exporter else any(environ.get(name) for name in ENDPOINTS)


def tracer_from(environ: Mapping[str, str]) -> Tracer | None:
    """Return the tracer that the environment asks for, if it does.

    One that can't be had is told, and holds nobody up: a whole cluster may have the variables set.
    """
    if not wanted(environ):
        return None
    try:
        tracer: Tracer = import_module("onceproxy.signals.otel").tracer_of(environ)
    except ImportError as error:
        log.warning("no-traces", error=str(error), hint="pip install 'onceproxy[otel]'")
        return None
    except ValueError as error:
        log.warning("no-traces", error=str(error))
        return None
    return tracer
