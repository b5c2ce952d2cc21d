"""Via: who passed a message on, and in which version of HTTP it came to them (RFC 9110 §7.6.3).

A proxy that finds its own name in a request has sent it to itself.
"""

from __future__ import annotations

from functools import lru_cache

from onceproxy.core.messages import RawHeaders, header_values


@lru_cache(maxsize=16)
def via_line(version: str, name: bytes) -> RawHeaders:
    """Return the line that ``name`` adds to a message which came in ``version`` (``1.1``).

    It goes behind the others: the order of the lines is that of the way.
    """
    return ((b"Via", b"%s %s" % (version.encode("ascii"), name)),)


def went_through(headers: RawHeaders, name: bytes) -> bool:
    """Say whether ``name`` (any case) is among those that passed the message on."""
    for step in b",".join(header_values(headers, "via")).split(b","):
        parts = step.split()
        if len(parts) > 1 and parts[1].lower() == name.lower():
            return True
    return False
