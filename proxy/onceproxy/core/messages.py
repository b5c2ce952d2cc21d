"""HTTP messages as values: the bytes that were received, nothing normalised away.

Replays promise the upstream's own bytes, so header names keep their case, their order and their
repetitions, and nothing here decodes text that it need not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Header lines in the order received, names in the case received."""

DEFAULT_PORTS = {"http": 80, "https": 443}


class Body(Protocol):
    """The content of a message: its bytes after the transfer coding was taken off.

    A content coding (gzip and so on) stays on. A body may live in memory or in a file; it can be read
    any number of times.
    """

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes from the start, in pieces of at most 64 KiB."""
        ...

    def read(self) -> bytes:
        """Return all the bytes at once."""
        ...


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body that is held in memory."""

    data: bytes = b""

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes, if there are any, in one piece."""
        if self.data:
            yield self.data

    def read(self) -> bytes:
        """Return the bytes."""
        return self.data


EMPTY_BODY = BytesBody()


@dataclass(frozen=True, slots=True)
class BodyNotKept:
    """What is known of a body whose bytes are gone: its size, and its SHA-256. It reads as empty."""

    size: int
    digest: bytes

    def chunks(self) -> Iterator[bytes]:
        """Yield nothing."""
        return iter(())

    def read(self) -> bytes:
        """Return nothing."""
        return b""


@dataclass(frozen=True, slots=True)
class BodyApart:
    """A large body of a receipt, which the store keeps apart: its size and its SHA-256.

    It has to be loaded first. Reading it instead raises ``RuntimeError``: it must never pass for empty.
    ``sealed``: what the store has of it is encrypted.
    """

    size: int
    digest: bytes
    sealed: bool = False

    def chunks(self) -> Iterator[bytes]:
        """Refuse."""
        raise RuntimeError("the body of this receipt was not loaded")

    def read(self) -> bytes:
        """Refuse."""
        raise RuntimeError("the body of this receipt was not loaded")


def digest_of(body: Body) -> bytes:
    """Return the SHA-256 of a body, reading it only if need be: it may be larger than memory.

    One that knows it has it as ``digest``.
    """
    known: bytes | None = getattr(body, "digest", None)
    if known is not None:
        return known
    digest = hashlib.sha256()
    for chunk in body.chunks():
        digest.update(chunk)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request goes: scheme, host, port (RFC 6454).

    ``scheme`` is ``http`` or ``https``; ``host`` is lower-case, an IPv6 address without brackets;
    ``port`` is 1 to 65535.
    """

    scheme: str
    host: str
    port: int

    @property
    def host_header(self) -> str:
        """The value of the Host header: the default port left out, IPv6 in brackets (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return _text_of(self.scheme, self.host, self.port)


@lru_cache(maxsize=1024)  # each request asks for the one that it goes to, and few are asked for
def _text_of(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{Origin(scheme, host, port).host_header}"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it will be sent upstream.

    ``target`` is the request target in origin form as it was received (``/path?query``, or ``*``).
    ``headers`` are end-to-end headers only: no hop-by-hop header, no ``Host``, no ``Content-Length``; the
    writer of the message makes those from ``origin`` and ``body``.
    ``client_certificate`` names the one to be shown; None: the one that is for the host, if any.
    """

    method: str
    origin: Origin
    target: bytes
    headers: RawHeaders = ()
    body: Body = EMPTY_BODY
    client_certificate: str | None = None

    def with_body(self, body: Body) -> Request:
        """Return the same request with a body."""
        return Request(self.method, self.origin, self.target, self.headers, body, self.client_certificate)

    @property
    def path(self) -> bytes:
        """The target up to the query."""
        return self.target.partition(b"?")[0]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response as it was received, hop-by-hop headers taken off.

    ``reason`` is the reason phrase of the status line, often empty. ``headers`` keep ``Content-Length``
    only where the upstream sent one.
    """

    status: int
    reason: bytes
    headers: RawHeaders
    body: Body = EMPTY_BODY


@dataclass(frozen=True, slots=True)
class Interim:
    """An interim response (1xx, never 101): end-to-end headers only. ``version`` is 1.0 or 1.1."""

    status: int
    reason: bytes
    headers: RawHeaders
    version: str = "1.1"


def may_have_body(method: str, status: int) -> bool:
    """Say whether a response to ``method`` with ``status`` can have content (RFC 9112 §6.3)."""
    return method != "HEAD" and status >= 200 and status not in (204, 304)


def lines_end(head: bytes, lines: int) -> bool:
    """Say whether a head that was put together ends where its lines do: no part of it holds CR, LF or NUL."""
    return head.count(b"\r") == lines and head.count(b"\n") == lines and b"\0" not in head


def header_values(headers: RawHeaders, name: str) -> list[bytes]:
    """Return the values of all header lines called ``name`` (any case), in order."""
    latest = _latest
    by_name = latest[1] if latest[0] is headers else _index(headers)
    found = by_name.get(_KEYS.get(name) or _key(name))
    return found.copy() if found else []


def has_none(headers: RawHeaders, names: frozenset[bytes]) -> bool:
    """Say whether no header line has one of these names, which are in lower case."""
    latest = _latest
    return (latest[1] if latest[0] is headers else _index(headers)).keys().isdisjoint(names)


def has_line(headers: RawHeaders, name: bytes) -> bool:
    """Say whether a header line is called ``name``, which is in lower case; for who asks nothing else."""
    return name in [line[0].lower() for line in headers]


_KEYS: dict[str, bytes] = {}


def _key(name: str) -> bytes:
    key = name.lower().encode("ascii")
    if len(_KEYS) < 1024:
        _KEYS[name] = key
    return key


_latest: tuple[RawHeaders, dict[bytes, list[bytes]]] = ((), {})


def _index(headers: RawHeaders) -> dict[bytes, list[bytes]]:
    """Return the values by lower-case name.

    One message is asked for many names in a row, so the last one is remembered: with its headers, so that
    no others can take their place in memory, and as one value, as threads ask as well.
    """
    global _latest
    by_name: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if (key := name.lower()) in by_name:
            by_name[key].append(value)
        else:
            by_name[key] = [value]
    _latest = (headers, by_name)
    return by_name
