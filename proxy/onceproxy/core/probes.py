"""Probes: a harmless question that settles a doubt. What is asked, and what the answer proves.

The sending and the waiting are in ``guard.probing``. An answer is believed only where it can't well mean
anything else: a wrong "found" would be a receipt of something that never happened, and a wrong "not found" a
second execution. All else is unclear, and whoever asked is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from onceproxy.core.attempts import Attempt
from onceproxy.core.credential import carries_credential
from onceproxy.core.jsonpaths import TooDeep, compile_path, select
from onceproxy.core.masking import masked_path
from onceproxy.core.messages import RawHeaders, Request, Response, header_values
from onceproxy.core.templates import Asked, fill, parse_template

NOT_FOUND = 404

# Wanted unless the route lets the action's own header of that name go along.
_WANTED: RawHeaders = ((b"Accept", b"application/json"), (b"Accept-Encoding", b"identity"))


@dataclass(frozen=True, slots=True)
class Probe:
    """A GET whose response says whether an action happened.

    ``url`` is a template (see ``templates``). ``happened`` is a JSONPath (RFC 9535) that selects something in
    the response's body exactly if it did. ``settle``: seconds from the doubt until "not found" is believed,
    for upstreams that answer reads late (0 or more). ``tries``: how often it is asked while the answer is
    unclear (1 or more), with pauses from ``backoff`` seconds on, doubling. ``headers``: which of the action's
    own headers go along, besides its credentials.

    Raises:
        ValueError: the template or the path is none.
    """

    url: str
    happened: str
    settle: float = 5.0
    tries: int = 3
    backoff: float = 0.5
    headers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parse_template(self.url)
        compile_path(self.happened)


def question(probe: Probe, asked: Asked) -> Request:
    """Return the GET that asks about an action, with the credentials of the copy that wants to know,
    and the client certificate that its route names.

    Raises:
        NotFilled: the request lacks what the template needs.
    """
    template = parse_template(probe.url)
    named = {name.lower().encode("ascii") for name in probe.headers}
    own = tuple(
        line for line in asked.request.headers if carries_credential(line[0]) or line[0].lower() in named
    )
    there = {name.lower() for name, _ in own}
    wanted = tuple(line for line in _WANTED if line[0].lower() not in there)
    return Request(
        "GET",
        template.origin,
        fill(template, asked),
        own + wanted,
        client_certificate=asked.request.client_certificate,
    )


def shown_question(probe: Probe) -> str:
    """Return a probe's URL for people: no query, and its places unfilled, as a secret may stand there."""
    template = parse_template(probe.url)
    target = "".join(
        piece if isinstance(piece, str) else "{" + ":".join(filter(None, piece)) + "}"
        for piece in template.pieces
    )
    path = target.partition("?")[0]
    return str(template.origin) + masked_path(template.origin.host, path.encode("utf-8"))


@dataclass(frozen=True, slots=True)
class Found:
    """It happened, and this is what the upstream has of it."""

    response: Response


@dataclass(frozen=True, slots=True)
class NotFound:
    """The upstream has nothing of it yet."""

    words: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """The answer proves nothing; ``words`` say what it was."""

    words: str


Verdict = Found | NotFound | Unclear


def judge(probe: Probe, attempt: Attempt, limit: int) -> Verdict:
    """Conclude from a probe's answer. One with more than ``limit`` bytes is not looked into."""
    response = attempt.response
    if response is None:
        return Unclear(f"it got no whole answer ({attempt.detail})")
    told = f"it answered {response.status}"
    if response.status == NOT_FOUND:
        return NotFound(told)
    if not 200 <= response.status < 300:
        return Unclear(told)
    if response.body.size > limit:
        return Unclear(f"{told} with {response.body.size} bytes, more than a receipt keeps")
    if any(value.lower() != b"identity" for value in header_values(response.headers, "content-encoding")):
        return Unclear(f"{told} in a content coding that was not asked for")
    try:
        selected = select(probe.happened, json.loads(response.body.read()))
    except (ValueError, RecursionError, TooDeep):
        return Unclear(f"{told} with something else than JSON")
    if not selected:
        return NotFound(f"{told}, and {probe.happened} selects nothing in it")
    if all(map(_says_nothing, selected)):
        return Unclear(f"{told}, and {probe.happened} selects only null or empty values in it")
    return Found(response)


def _says_nothing(value: Any) -> bool:
    """Say whether a value may stand for absence: a path such as ``$.orders`` selects an empty list."""
    return value is None or value is False or value in ("", [], {})
