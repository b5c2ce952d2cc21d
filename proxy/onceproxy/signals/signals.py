"""Where a request's way is begun, and told when it has ended: counted, traced, and logged."""

from __future__ import annotations

from onceproxy.core.messages import Request
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.core.receipts import Action
from onceproxy.guard.answers import Answer
from onceproxy.signals.deciding import (
    ANSWERED,
    CLIENT_LEFT,
    LEFT,
    PASS,
    REFUSE,
    SAVING,
    decision_of,
    log_decision,
    log_left,
    outcome_of,
    status_of,
)
from onceproxy.signals.journey import Journey, Stage
from onceproxy.signals.ports import NoRecorder, Recorder, Span, Tracer

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that spans are named for; clients may think of others without end."""

FAILURE = 500
"""The least status that marks a trace as failed: what OpenTelemetry's conventions say of servers."""


class Signals:
    """Tells who counts (``recorder``) and who traces (``tracer``, if anybody) what became of each request."""

    def __init__(self, recorder: Recorder | None = None, tracer: Tracer | None = None) -> None:
        self._recorder = recorder or NoRecorder()
        self._tracer = tracer

    def journey(self, request: Request) -> Journey:
        """Begin the way of a request whose head has arrived."""
        method = request.method if request.method in METHODS else "_OTHER"
        if self._tracer is None:
            return Journey(method, None, self._left)
        span = self._tracer.begin(request.headers)
        span.set("http.request.method", method)
        return Journey(method, span, self._left)

    def untraced(self, method: str, route: str, request_bytes: int) -> Journey | None:
        """Begin the way of a request that is answered as it arrives; None: it is to be traced."""
        if self._tracer is not None:
            return None
        journey = Journey(method if method in METHODS else "_OTHER", None, self._left)
        journey.arrived(route, request_bytes)
        return journey

    def decided(self, journey: Journey, action: Action, answer: Answer) -> None:
        """Tell what became of a guarded request."""
        decision, outcome = decision_of(answer), outcome_of(answer)
        self._recorder.request(action.route, decision, outcome, journey.seconds)
        problem = answer.problem
        if answer.replayed or (problem is not None and not answer.executed and problem.type in SAVING):
            self._recorder.saved(action.route)
        log_decision(journey, action, answer, decision, outcome)
        if (span := journey.span) is not None:
            _describe(span, journey, decision, outcome)
            span.set("onceproxy.reason", answer.reason)
            span.set("onceproxy.attempt", answer.attempt)
            _end(span, status_of(answer), outcome)

    def refused(self, problem: Problem) -> None:
        """Tell that a request was refused before there was an action."""
        self._recorder.request(problem.route or "", REFUSE, problem.type.slug, 0.0)

    def failed(self) -> None:
        """Tell that a request could not be treated, for a mistake of ours."""
        self._recorder.request("", REFUSE, ProblemType.INTERNAL_ERROR.slug, 0.0)

    def passed(self, journey: Journey, sending: Stage, status: int, problem: Problem | None = None) -> None:
        """Tell that a request was passed on, unguarded; ``problem`` says why there was no answer."""
        outcome = ANSWERED if problem is None else problem.type.slug
        self._recorder.upstream_took(journey.route, sending.seconds)
        self._recorder.request(journey.route, PASS, outcome, journey.seconds)
        if journey.span is not None:
            _describe(journey.span, journey, PASS, outcome)
            _end(journey.span, status, outcome)

    def _left(self, journey: Journey) -> None:
        self._recorder.request(journey.route, LEFT, CLIENT_LEFT, journey.seconds)
        if journey.action is not None:
            log_left(journey, journey.action)
        if journey.span is not None:
            _describe(journey.span, journey, LEFT, CLIENT_LEFT)


def _end(span: Span, status: int, outcome: str) -> None:
    span.set("http.response.status_code", status)
    if status >= FAILURE:
        span.failed(outcome)


def _describe(span: Span, journey: Journey, decision: str, outcome: str) -> None:
    span.named(f"{journey.method} {journey.route}")
    span.set("onceproxy.route", journey.route)
    span.set("onceproxy.decision", decision)
    span.set("onceproxy.outcome", outcome)
    if (action := journey.action) is not None:
        span.set("onceproxy.request_id", str(action.request_id))
        span.set("url.full", action.url)  # made for people: see core.masking
