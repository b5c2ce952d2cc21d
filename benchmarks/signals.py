"""What it costs to tell of a request: counts and durations, the line in the log, a trace.

No network, no database. `python -m benchmarks.signals` prints microseconds for one guarded request, the
least of several rounds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from onceproxy import logs
from onceproxy.admin.metrics import Metrics
from onceproxy.core.attempts import Attempt, WirePhase
from onceproxy.core.messages import BytesBody, Origin, Request
from onceproxy.core.receipts import Action, Claim
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer
from onceproxy.guard.ports import Settled, Settlement
from onceproxy.signals.journey import IDENTITY, Stage
from onceproxy.signals.measuring import MeasuredExecute, MeasuredStore
from onceproxy.signals.otel import OtelTracer
from onceproxy.signals.ports import Tracer
from onceproxy.signals.signals import Signals
from simulated_store import SimulatedStore
from stores import a_response, an_action, completed

ROOT = Path(__file__).parents[1]
ROUNDS, REQUESTS = 9, 5_000
REQUEST = Request("POST", Origin("https", "api.example.com", 443), b"/v1/charges", (), BytesBody(b"{}"))
ACTION = an_action()
CLAIM = Claim(ACTION.request_id, uuid4(), 1)
ATTEMPT = Attempt(WirePhase.BODY_RECEIVED, a_response(), status=201)
ANSWER = Answer(ACTION.request_id, State.COMPLETED, 1, "status-201", response=a_response(), executed=True)
END = completed()


class Store(SimulatedStore):
    """Answers at once."""

    async def claim(self, action: Action) -> Claim:
        return CLAIM

    async def settle(self, claim: Claim, settlement: Settlement) -> Settled:
        return Settled.STORED


class Execute:
    """Has its answer at once."""

    async def send(self, request: Request, *_: object, **__: object) -> Attempt:
        return ATTEMPT


class Nowhere(SpanExporter):
    """Takes all spans."""

    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def _always() -> bool:
    return True


def bare() -> Callable[[], Awaitable[None]]:
    store, execute = Store(), Execute()

    async def one() -> None:
        await store.claim(ACTION)
        await execute.send(REQUEST, _always)
        await store.settle(CLAIM, END)

    return one


def told(tracer: Tracer | None = None) -> Callable[[], Awaitable[None]]:
    recorder = Metrics().requests
    signals = Signals(recorder, tracer)
    store, execute = MeasuredStore(Store(), recorder), MeasuredExecute(Execute(), recorder)

    async def one() -> None:
        with signals.journey(REQUEST) as journey:
            journey.arrived("charges", 2)
            with Stage(IDENTITY, journey):
                pass
            journey.action = ACTION
            await store.claim(ACTION)
            await execute.send(REQUEST, _always)
            await store.settle(CLAIM, END)
            signals.decided(journey, ACTION, ANSWER)

    return one


async def least(one: Callable[[], Awaitable[None]]) -> float:
    """Return the microseconds of the quickest round."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(REQUESTS):
            await one()
        rounds.append((time.perf_counter() - began) / REQUESTS * 1e6)
    return min(rounds)


def measured(what: str) -> float:
    """Measure one of the ways; logs go nowhere, or to a file that takes all."""
    shown, sys.stderr = sys.stderr, open(os.devnull, "w")  # noqa: SIM115 (for the rest of the process)
    logs.configure(logging.INFO if what == "line" else logging.ERROR)
    tracer = None
    if what == "trace":
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(Nowhere()))
        tracer = OtelTracer(provider)
    one = bare() if what == "bare" else told(tracer)
    try:
        return asyncio.run(least(one))
    finally:
        sys.stderr.close()
        sys.stderr = shown
        if tracer is not None:
            tracer.close()


WAYS = {
    "bare": "nothing is told",
    "counts": "counts and durations, and what the line says",
    "worker": "the same in one of several workers",
    "line": "all that, and the line is written",
    "trace": "counts, durations, and a trace with the SDK",
}


def main() -> None:
    if len(sys.argv) > 1:
        print(measured(sys.argv[1]))
        return
    for way, words in WAYS.items():
        # Each in a process of its own: how counts are kept is decided when the library is imported.
        with tempfile.TemporaryDirectory() as directory:
            environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": directory} if way == "worker" else None
            run = [sys.executable, "-m", "benchmarks.signals", way]
            ended = subprocess.run(run, env=environ, check=True, capture_output=True, cwd=ROOT)
        print(f"{float(ended.stdout):6.1f} µs  {words}", flush=True)


if __name__ == "__main__":
    main()
