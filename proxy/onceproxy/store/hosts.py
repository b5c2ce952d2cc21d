"""Database URLs that name several servers, of which one is the primary at any time.

``postgresql://user@one:5432,two:5432/name``: each is tried in turn, each with its share of the time, as one
that lost its power does not even refuse. Only one that takes writes will do, unless the URL says otherwise
(``target_session_attrs``, as in libpq).
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

ATTRIBUTE = "target_session_attrs"


def split_hosts(url: str) -> Sequence[str]:
    """Return one URL for each server of a database URL; one that names no second server as it is."""
    scheme, separator, rest = url.partition("://")
    end = min((rest.index(mark) for mark in "/?#" if mark in rest), default=len(rest))
    user, at, hosts = rest[:end].rpartition("@")
    if "," not in hosts:
        return (url,)
    tail = rest[end:]
    if ATTRIBUTE not in dict(parse_qsl(urlsplit(url.replace(hosts, "host", 1)).query)):
        path, mark, query = tail.partition("?")
        tail = f"{path}?{query}{'&' if mark and query else ''}{urlencode({ATTRIBUTE: 'read-write'})}"
    return tuple(f"{scheme}{separator}{user}{at}{host}{tail}" for host in hosts.split(",") if host)


def places(url: str) -> list[str]:
    """Return ``host`` or ``host:port`` of each server of a URL; empty for a local socket.

    Raises:
        ValueError: it is no URL.
    """
    found = []
    for one in split_hosts(url):
        parts = urlsplit(one)
        if parts.hostname is not None:
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            found.append(f"{host}:{parts.port}" if parts.port is not None else host)
    return found
