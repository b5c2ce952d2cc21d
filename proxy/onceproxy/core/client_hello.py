"""What a TLS client says first, read before anything is answered (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2).

Only what decides whether its tunnel can be opened is taken out of it; the handshake itself is OpenSSL's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

HANDSHAKE = 0x16  # the content type of a record that carries a handshake (RFC 8446 §5.1)
LARGEST = 64 * 1024  # bytes; a hello with post-quantum keys has some 2 KiB
TLS_1_2 = 0x0303

_RECORD_HEAD, _MESSAGE_HEAD = 5, 4
_CLIENT_HELLO = 1
_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS, _ECH = 0, 16, 43, 0xFE0D
_MADE_UP = 0x0A0A  # GREASE (RFC 8701): 0x0a0a, 0x1a1a, …


class MalformedHello(ValueError):
    """What begins like TLS is no ClientHello."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """``server_name`` is as it was sent. ``newest`` is the highest version offered, 0x0303 for TLS 1.2.

    ``encrypted``: it has an encrypted hello (ECH), or pretends to (GREASE); which, only the one who has the
    key can tell.
    """

    server_name: str | None
    alpn: tuple[bytes, ...]
    newest: int
    encrypted: bool


class HelloRefusal(Enum):
    """Why a tunnel can't be opened: its name in logs and metrics, the alert (RFC 8446 §6.2), the words."""

    MALFORMED = "malformed-hello", 50, "it begins like TLS and is none"
    OLD_TLS = "old-tls", 70, "it speaks no TLS from 1.2 on"
    OTHER_NAME = "other-name", 112, "its TLS names another host than its CONNECT"
    ENCRYPTED = "encrypted-hello", 112, "it hides the host's name (ECH), so the tunnel can't be opened"
    NO_HTTP_1 = "no-http-1", 120, "it speaks no HTTP/1.1 inside TLS"

    def __init__(self, reason: str, alert: int, words: str) -> None:
        self.reason = reason
        self.words = words
        self.record = bytes((0x15, 3, 3, 0, 2, 2, alert))


def refusal(hello: ClientHello, host: str) -> HelloRefusal | None:
    """Return why the tunnel that a CONNECT to ``host`` made can't be opened for a hello, if so.

    No name at all is fine: clients send none for addresses. What CONNECT said is what counts then.
    """
    if hello.newest < TLS_1_2:
        return HelloRefusal.OLD_TLS
    name = hello.server_name
    if name is not None and name.lower().removesuffix(".") != host.lower().removesuffix("."):
        return HelloRefusal.ENCRYPTED if hello.encrypted else HelloRefusal.OTHER_NAME
    if hello.alpn and b"http/1.1" not in hello.alpn:
        return HelloRefusal.NO_HTTP_1
    return None


def read_client_hello(data: bytes) -> ClientHello | None:
    """Return the hello at the start of ``data``; None if there is more of it to come.

    Raises:
        MalformedHello: it is none, or larger than ``LARGEST``.
    """
    message = _message(data)
    if message is None:
        return None
    body = _Reader(message)
    newest = body.number(2)
    body.take(32)  # random
    body.vector(1)  # session id
    body.vector(2)  # cipher suites
    body.vector(1)  # compression methods
    server_name: str | None = None
    alpn: tuple[bytes, ...] = ()
    encrypted = False
    extensions = _Reader(body.vector(2) if body.left else b"")
    while extensions.left:
        kind, content = extensions.number(2), _Reader(extensions.vector(2))
        if kind == _SERVER_NAME:
            server_name = _server_name(content)
        elif kind == _ALPN:
            alpn = _protocols(content)
        elif kind == _SUPPORTED_VERSIONS:
            newest = _newest(content)
        elif kind == _ECH:
            encrypted = True
    return ClientHello(server_name, alpn, newest, encrypted)


def _message(data: bytes) -> bytes | None:
    """Join the records that a hello came in; None if they are not all there."""
    joined, at = b"", 0
    while True:
        if joined and joined[0] != _CLIENT_HELLO:
            raise MalformedHello
        if len(joined) >= _MESSAGE_HEAD:
            end = _MESSAGE_HEAD + int.from_bytes(joined[1:4], "big")
            if end > LARGEST:
                raise MalformedHello
            if len(joined) >= end:
                return joined[_MESSAGE_HEAD:end]
        head = data[at : at + _RECORD_HEAD]
        if head and (head[0] != HANDSHAKE or (len(head) > 1 and head[1] != 3)):
            raise MalformedHello
        if len(head) < _RECORD_HEAD:
            return None
        size = int.from_bytes(head[3:], "big")
        if size == 0 or at > LARGEST:  # empty records are not allowed (RFC 8446 §5.1), and would never end
            raise MalformedHello
        at += _RECORD_HEAD + size
        joined += data[at - size : at]


class _Reader:
    """Takes bytes from the front. Raises ``MalformedHello`` where there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise MalformedHello
        self._at += size
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Take what stands behind its length, which takes ``size`` bytes."""
        return self.take(self.number(size))


def _server_name(content: _Reader) -> str | None:
    """Read the host's name (RFC 6066 §3); empty content is a server's."""
    names = _Reader(content.vector(2))
    while names.left:
        kind, name = names.number(1), names.vector(2)
        if kind == 0:
            return name.decode("latin-1")
    return None


def _protocols(content: _Reader) -> tuple[bytes, ...]:
    """Read the protocols offered (RFC 7301 §3.1), made-up ones left in."""
    names, found = _Reader(content.vector(2)), []
    while names.left:
        found.append(names.vector(1))
    return tuple(found)


def _newest(content: _Reader) -> int:
    versions, found = _Reader(content.vector(1)), [0]
    while versions.left:
        found.append(versions.number(2))
    return max(version for version in found if version & 0x0F0F != _MADE_UP)
