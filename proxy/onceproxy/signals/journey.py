"""What is known of one request on its way: made when its head has come, and found again wherever it leads.

It travels in the context, which tasks inherit. So neither the guard nor its ports know of it, and what goes
on when the client has left still writes there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from time import perf_counter
from types import TracebackType

from onceproxy.core.messages import Request
from onceproxy.core.receipts import Action
from onceproxy.signals.ports import Span

IDENTITY, CLAIM, UPSTREAM, COMPLETE = "identity", "claim", "upstream", "complete"
STAGES = (IDENTITY, CLAIM, UPSTREAM, COMPLETE)
"""Reading who and what; the claim; the sending, until all of the answer is there; storing what came of it."""

_current: ContextVar[Journey | None] = ContextVar("journey", default=None)


def current() -> Journey | None:
    """Return the journey of the request that this task works for, if it works for one."""
    return _current.get()


class Journey:
    """One request. A context manager: it lasts from the head to the answer, or until the client leaves.

    ``method`` is one of a few. ``took`` holds the seconds of each stage that came about. ``left`` is told of
    one whose client has left.
    """

    __slots__ = ("_left", "_token", "action", "began", "method", "request_bytes", "route", "span", "took")

    def __init__(self, method: str, span: Span | None, left: Callable[[Journey], None]) -> None:
        self.method = method
        self.span = span
        self.route = ""
        self.action: Action | None = None
        self.request_bytes: int | None = None
        self.took: dict[str, float] = {}
        self.began = perf_counter()
        self._left = left

    def arrived(self, route: str, request_bytes: int | None = None) -> None:
        """Count the time from now on: the request is there, and what comes is not its client's doing."""
        self.route = route
        self.request_bytes = request_bytes
        self.began = perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since it began, or had arrived."""
        return perf_counter() - self.began

    def __enter__(self) -> Journey:
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._token)  # a connection serves its next request in the same context
        if isinstance(error, asyncio.CancelledError):
            self._left(self)
        if self.span is not None:
            self.span.end(error)


class Stage:
    """One stage of a journey, if there is one. A context manager; ``seconds`` is there when it has ended."""

    __slots__ = ("_began", "_journey", "_name", "seconds", "span")

    def __init__(self, name: str, journey: Journey | None) -> None:
        self._name = name
        self._journey = journey
        self.span: Span | None = None
        self.seconds = 0.0

    def __enter__(self) -> Stage:
        journey = self._journey
        if journey is not None and journey.span is not None:
            self.span = journey.span.child(self._name, outwards=self._name == UPSTREAM)
        self._began = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = perf_counter() - self._began
        if self._journey is not None:
            took = self._journey.took
            took[self._name] = took.get(self._name, 0.0) + self.seconds
        if self.span is not None:
            self.span.end(error)

    def traced(self, request: Request) -> Request:
        """Return the request as it is sent in this stage: as it is, unless there is a trace to go on with."""
        if self.span is None:
            return request
        return replace(request, headers=self.span.carried(request.headers))
