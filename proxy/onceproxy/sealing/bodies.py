"""Bodies in sealed segments, so that a large one is never whole in memory, sealed or not.

A segment that is sealed is as large as a part of a body in the store: each is one part there, and is opened
by itself. Sealing one takes half a millisecond, so that it need not be done in a thread.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator

from onceproxy.core.messages import Body
from onceproxy.guard.ports import Unreadable
from onceproxy.sealing.keyring import NONCE_SIZE, OVERHEAD, Keyring

SEGMENT = 256 * 1024  # bytes of a sealed segment; only the last one may be shorter
_PLAIN = SEGMENT - OVERHEAD
_CHUNK = 64 * 1024

Bound = Callable[[int], bytes]
"""Gives what a segment is bound to, by its number."""


class SealedBody:
    """A body that is sealed each time that it is read, to the same bytes each time."""

    def __init__(self, keyring: Keyring, body: Body, bound: Bound) -> None:
        self._keyring = keyring
        self._body = body
        self._bound = bound
        self._digest: bytes | None = None
        count = -(-body.size // _PLAIN)
        self._nonces = [os.urandom(NONCE_SIZE) for _ in range(count)]
        self.size = body.size + count * OVERHEAD

    @property
    def digest(self) -> bytes:
        """SHA-256 of the sealed bytes. Known without another pass when they were read once."""
        if self._digest is None:
            for _ in self.chunks():
                pass
        assert self._digest is not None
        return self._digest

    def chunks(self) -> Iterator[bytes]:
        """Yield the sealed bytes from the start, in pieces of at most 64 KiB."""
        digest = hashlib.sha256()
        for number, plain in enumerate(_pieces(self._body, _PLAIN)):
            sealed = self._keyring.seal(plain, self._bound(number), self._nonces[number])
            digest.update(sealed)
            for start in range(0, len(sealed), _CHUNK):
                yield sealed[start : start + _CHUNK]
        self._digest = digest.digest()

    def read(self) -> bytes:
        """Return all the sealed bytes at once."""
        return b"".join(self.chunks())


class OpenedBody:
    """A sealed body as what it was; ``size`` and ``digest`` are those of the plain bytes."""

    def __init__(self, keyring: Keyring, sealed: Body, bound: Bound, size: int, digest: bytes) -> None:
        self._keyring = keyring
        self._sealed = sealed
        self._bound = bound
        self.size = size
        self.digest = digest

    def chunks(self) -> Iterator[bytes]:
        """Yield the plain bytes from the start, in pieces of at most 64 KiB.

        Raises:
            Unreadable: a segment can't be opened, or all of them are not the body that was sealed.
        """
        digest = hashlib.sha256()
        for number, sealed in enumerate(_pieces(self._sealed, SEGMENT)):
            plain = self._keyring.open(sealed, self._bound(number))
            digest.update(plain)
            for start in range(0, len(plain), _CHUNK):
                yield plain[start : start + _CHUNK]
        if digest.digest() != self.digest:
            raise Unreadable("a part of it is missing")

    def read(self) -> bytes:
        """Return all the plain bytes at once. Raises as ``chunks`` does."""
        return b"".join(self.chunks())


def plain_size(sealed: int) -> int:
    """Return how many bytes a body had that takes so many sealed."""
    return sealed - -(-sealed // SEGMENT) * OVERHEAD


def _pieces(body: Body, size: int) -> Iterator[bytes]:
    """Yield a body in pieces of ``size`` bytes; only the last one may be shorter."""
    held = bytearray()
    for chunk in body.chunks():
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)
