"""What a client is told of a request that the parser could not read.

The parser's own words may quote what the client sent, so they go nowhere; which error it was tells enough.
"""

from __future__ import annotations

import re

from aiohttp.http_exceptions import BadHttpMethod, LineTooLong

from onceproxy.core.limits import Limit
from onceproxy.core.problems import Problem, ProblemType

_CLOSED = "Nothing was sent. The connection is closed; send a valid request on another one."

# A request line that is fine but for its method, as the parser quotes it when it came in one piece.
_OTHER_METHOD = re.compile(r"  b'[!#$%&*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.[01]'")
_TOO_MANY = "Too many headers received"  # the library has no class for it


def unreadable(error: BaseException | None) -> Problem:
    """Return the problem of a request that ``error`` was found in."""
    message = getattr(error, "message", "")
    if isinstance(error, LineTooLong):
        # The parser collects a target in a bytearray, and header lines in bytes.
        if isinstance(error.args[0], bytearray):
            return Problem(
                ProblemType.TARGET_TOO_LONG, f"The request's target is longer than limits.header. {_CLOSED}"
            )
        return Problem(
            ProblemType.HEADERS_TOO_LARGE, f"A header line is longer than limits.header. {_CLOSED}"
        )
    if message == _TOO_MANY:
        return Problem(
            ProblemType.HEADERS_TOO_LARGE,
            f"The request has too many header lines (limits.header_lines). {_CLOSED}",
        )
    if isinstance(error, BadHttpMethod) and _OTHER_METHOD.search(message):
        detail = f"The request's method is not known here; methods are case-sensitive. {_CLOSED}"
        return Problem(ProblemType.UNSUPPORTED, detail)
    return Problem(ProblemType.BAD_REQUEST, f"The request is not valid HTTP/1.1. {_CLOSED}")


def too_large(error: BaseException | None) -> Limit | None:
    """Return the limit that a request was over, if it was that."""
    if isinstance(error, LineTooLong):
        return Limit.HEADER
    return Limit.HEADER_LINES if getattr(error, "message", "") == _TOO_MANY else None
