"""What a sender gets: the handler's response with our marks, or a problem."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from onceproxy.core.messages import RawHeaders, header_values
from onceproxy.core.problems import Problem
from onceproxy.guard.answers import Answer
from onceproxy.ingress.responses import ProblemResponse, answer_response


@dataclass(frozen=True, slots=True)
class Told:
    """A response, ready to be sent by whatever serves the application."""

    status: int
    headers: RawHeaders
    content: bytes | AsyncGenerator[bytes, None]


def told(answer: Answer | Problem) -> Told:
    """Return what tells a guard's answer, or a problem that it has never seen."""
    response = ProblemResponse(answer) if isinstance(answer, Problem) else answer_response(answer)
    headers, content = response.told()
    if isinstance(content, bytes) and not header_values(headers, "content-length"):
        headers += ((b"Content-Length", b"%d" % len(content)),)
    # Servers of applications write these themselves.
    kept = tuple(line for line in headers if line[0].lower() not in (b"date", b"server", b"connection"))
    return Told(response.status, kept, content)
