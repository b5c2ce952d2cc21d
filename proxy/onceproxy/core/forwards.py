"""Max-Forwards: how many more proxies a TRACE or OPTIONS may pass (RFC 9110 §7.6.2)."""

from __future__ import annotations

import re

from onceproxy.core.messages import RawHeaders, header_values

COUNTED = frozenset({"OPTIONS", "TRACE"})
"""The methods for which it has a meaning."""

_NAME = b"max-forwards"
_NUMBER = re.compile(rb"[0-9]{1,9}")


class BadForwards(ValueError):
    """Max-Forwards is no number, or there more than once."""


def forwards_left(method: str, headers: RawHeaders) -> int | None:
    """Return how often the request may be passed on; None where nothing limits that.

    Raises:
        BadForwards: what it says can't be read.
    """
    values = header_values(headers, "max-forwards") if method in COUNTED else []
    if not values:
        return None
    if len(values) > 1 or not _NUMBER.fullmatch(values[0].strip()):
        raise BadForwards("Max-Forwards must be one number of at most nine digits")
    return int(values[0])


def one_less(headers: RawHeaders, left: int) -> RawHeaders:
    """Return the headers with which a request goes on that could be passed on ``left`` times."""
    return tuple((name, b"%d" % (left - 1) if name.lower() == _NAME else value) for name, value in headers)
