"""Probes: a harmless question to the upstream that settles a doubt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Probe:
    """A GET whose response says whether an action happened.

    ``url`` is a template. ``happened`` is a JSONPath (RFC 9535) that selects something in the response's body
    exactly if it did. ``settle``: seconds from the doubt until "not found" is believed, for upstreams that
    answer reads late (0 or more). ``tries``: how often an unclear answer is asked for again (1 or more), with
    pauses from ``backoff`` seconds on, doubling. ``headers``: which of the action's own headers go along,
    besides its credentials.
    """

    url: str
    happened: str
    settle: float = 5.0
    tries: int = 3
    backoff: float = 0.5
    headers: tuple[str, ...] = ()
