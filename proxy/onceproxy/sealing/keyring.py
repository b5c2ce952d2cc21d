"""Keys, and values sealed with them: AES-256-GCM, each value bound to its place.

A sealed value says which key sealed it: ``MAGIC``, the key's id filled up to 16 bytes, a nonce, the
ciphertext and its tag. What it is bound to (associated data) is not in it: a value that is moved to another
place can't be opened.

Nonces are 96 random bits. For fewer than 2**32 values under one key the probability that two ever have the
same is below 2**-32 (NIST SP 800-38D §8.3); a receipt takes two and one more for each 256 KiB of its body.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from onceproxy.guard.ports import Unreadable

MAGIC = b"\0op1"
ID_SIZE = 16
KEY_SIZE = 32
NONCE_SIZE = 12
_HEAD = len(MAGIC) + ID_SIZE
OVERHEAD = _HEAD + NONCE_SIZE + 16  # bytes that sealing adds
KEY_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{ID_SIZE - 1}}}")


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the name by which values refer to it (1 to 16 characters). ``secret`` is 32 bytes."""

    id: str
    secret: bytes = field(repr=False)


class Keyring:
    """Keys by their ids. The first one seals; each opens what it sealed. Without any nothing is sealed."""

    def __init__(self, keys: Sequence[Key] = ()) -> None:
        self._ciphers = {key.id: AESGCM(key.secret) for key in keys}
        self._first = keys[0].id if keys else None

    @property
    def writes(self) -> str | None:
        """The id of the key that seals, if any does."""
        return self._first

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._ciphers)

    def seal(self, plain: bytes, bound: bytes, nonce: bytes | None = None) -> bytes:
        """Seal a value. ``bound`` is what it belongs to. A ``nonce`` may come again for the same value only.

        Raises:
            ValueError: there is no key.
        """
        if self._first is None:
            raise ValueError("there is no key to seal with")
        head, nonce = prefix(self._first), nonce or os.urandom(NONCE_SIZE)
        return head + nonce + self._ciphers[self._first].encrypt(nonce, plain, head + bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """Open a value.

        Raises:
            Unreadable: its key is not here, or it is not what was sealed for this place.
        """
        if len(sealed) < OVERHEAD or not sealed.startswith(MAGIC):
            raise Unreadable("it was changed after it was encrypted")
        key = key_id(sealed)
        cipher = self._ciphers.get(key)
        if cipher is None:
            raise Unreadable(f"it is encrypted with the key {key!r}, which is not in encryption.keys here")
        head, nonce = sealed[:_HEAD], sealed[_HEAD : _HEAD + NONCE_SIZE]
        try:
            return cipher.decrypt(nonce, sealed[_HEAD + NONCE_SIZE :], head + bound)
        except InvalidTag:
            raise Unreadable(
                f"it was changed after it was encrypted, or the key {key!r} here is another one"
            ) from None


def prefix(key: str) -> bytes:
    """Return how each value begins that the key of this id has sealed."""
    return MAGIC + key.encode("ascii").ljust(ID_SIZE, b"\0")


def key_id(sealed: bytes) -> str:
    """Return the id of the key that a value was sealed with."""
    return sealed[len(MAGIC) : _HEAD].rstrip(b"\0").decode("ascii", "backslashreplace")
