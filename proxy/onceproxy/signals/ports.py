"""What is told of each request to whoever counts, and to whoever traces."""

from __future__ import annotations

from typing import Protocol

from onceproxy.core.messages import RawHeaders


class Recorder(Protocol):
    """Counts requests and their stages. Called for each request: it has to be quick, and never fails."""

    def request(self, route: str, decision: str, outcome: str, seconds: float) -> None:
        """A request got its answer, or the head of it; ``route`` is empty where none was found by then."""
        ...

    def saved(self, route: str) -> None:
        """A copy was not sent, because its action had been, or may have been."""
        ...

    def attempt(self, route: str, outcome: str) -> None:
        """What an attempt proved is durable."""
        ...

    def claim_took(self, seconds: float) -> None:
        """The store has answered a claim."""
        ...

    def upstream_took(self, route: str, seconds: float) -> None:
        """An attempt, or a probe, has ended; of what is passed through, the head has come."""
        ...

    def complete_took(self, seconds: float) -> None:
        """The store has taken the end of an attempt."""
        ...

    def store_error(self, verb: str) -> None:
        """The store could not do what ``verb`` says."""
        ...


class NoRecorder:
    """Counts nothing."""

    def request(self, route: str, decision: str, outcome: str, seconds: float) -> None:
        """Do nothing."""

    def saved(self, route: str) -> None:
        """Do nothing."""

    def attempt(self, route: str, outcome: str) -> None:
        """Do nothing."""

    def claim_took(self, seconds: float) -> None:
        """Do nothing."""

    def upstream_took(self, route: str, seconds: float) -> None:
        """Do nothing."""

    def complete_took(self, seconds: float) -> None:
        """Do nothing."""

    def store_error(self, verb: str) -> None:
        """Do nothing."""


class Span(Protocol):
    """A stretch of time in a trace. What is set on it must be no secret."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        ...

    def child(self, name: str, *, outwards: bool = False) -> Span:
        """Begin a span within this one. ``outwards``: somebody else is waited for."""
        ...

    def set(self, name: str, value: str | int | None) -> None:
        """Set an attribute; None leaves it out."""
        ...

    def named(self, name: str) -> None:
        """Give it another name."""
        ...

    def carried(self, headers: RawHeaders) -> RawHeaders:
        """Return headers by which the next one on the way goes on with this trace."""
        ...

    def failed(self, kind: str) -> None:
        """Mark it as a failure, of a kind that is named in a word."""
        ...

    def end(self, error: BaseException | None = None) -> None:
        """End it, for ``error`` if there is one: what it says is not told, only its kind."""
        ...


class Tracer(Protocol):
    """Makes traces, or goes on with those of clients."""

    def begin(self, headers: RawHeaders) -> Span:
        """Begin the span of a request that has arrived with these headers."""
        ...

    def close(self) -> None:
        """Hand over what has ended; may block for some seconds."""
        ...
