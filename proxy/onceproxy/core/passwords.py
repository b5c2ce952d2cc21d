"""Passwords and their hashes: scrypt (RFC 7914), which costs memory and so is dear to guess at.

Hashes are written as other tools write them, too: ``$scrypt$ln=14,r=8,p=5$SALT$HASH`` (the form of the PHC).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass, field

MEMORY = 128 << 20  # bytes that a hash may ask for; two are made at a time
LEAST_SALT, DIGEST = 8, 32  # bytes
MAX_PASSWORD = 1024  # characters
_TEXT = re.compile(
    r"\$scrypt\$ln=(?P<ln>[0-9]{1,2}),r=(?P<r>[0-9]{1,2}),p=(?P<p>[0-9]{1,2})"
    r"\$(?P<salt>[A-Za-z0-9+/]+)\$(?P<digest>[A-Za-z0-9+/]+)"
)


class BadHash(ValueError):
    """A text is no hash of a password that is taken here; it says why, and never repeats it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a hash costs: 2**``ln`` blocks of ``r`` × 128 bytes, gone through ``p`` times.

    The default takes 16 MiB and about a tenth of a second, one of the settings that OWASP calls equal.
    """

    ln: int = 14
    r: int = 8
    p: int = 5

    @property
    def memory(self) -> int:
        """Bytes."""
        return 128 * self.r << self.ln

    def check(self) -> None:
        """Raise ``BadHash`` where it is too little to be safe, or so much that logins would starve others."""
        if self.ln < 14 or self.r < 8 or self.p < 1:
            raise BadHash(
                "it is cheap to guess at; make one with `onceproxy passwd` (ln=14, r=8 is the least)"
            )
        if self.memory > MEMORY or self.memory * self.p > 4 * MEMORY:
            raise BadHash("a login with it would take too long; make one with `onceproxy passwd`")


DEFAULT_COST = Cost()


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A hash of a password. ``str()`` is its text."""

    cost: Cost
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str, salt: bytes, cost: Cost = DEFAULT_COST) -> PasswordHash:
        """Hash a password. Takes a while: not for the event loop. ``salt``: 8 random bytes or more."""
        return cls(cost, salt, _scrypt(password, salt, cost, DIGEST))

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Read what ``str()`` shows.

        Raises:
            BadHash: it is not that, or costs too little or too much.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise BadHash(
                "it must be a hash of scrypt, as `onceproxy passwd` makes it, in quotes: $scrypt$ln=…$…$…"
            )
        cost = Cost(int(match["ln"]), int(match["r"]), int(match["p"]))
        cost.check()
        salt, digest = _bytes(match["salt"]), _bytes(match["digest"])
        if len(salt) < LEAST_SALT or len(digest) != DIGEST:
            raise BadHash("its salt or its digest is cut short; copy all of it")
        return cls(cost, salt, digest)

    def matches(self, password: str) -> bool:
        """Say whether it is the hash of ``password``. Takes a while: not for the event loop."""
        return hmac.compare_digest(_scrypt(password, self.salt, self.cost, len(self.digest)), self.digest)

    def __str__(self) -> str:
        cost = f"ln={self.cost.ln},r={self.cost.r},p={self.cost.p}"
        return f"$scrypt${cost}${_text(self.salt)}${_text(self.digest)}"


@dataclass(frozen=True, slots=True)
class PlainPassword:
    """A password that is known as such, from the environment or a file."""

    text: str = field(repr=False)

    def matches(self, password: str) -> bool:
        """Say whether it is ``password``."""
        return hmac.compare_digest(_normal(self.text), _normal(password))


Secret = PasswordHash | PlainPassword


def check_password(text: str) -> str:
    """Return a password that can be sent as Basic (RFC 7617 §2).

    Raises:
        ValueError: it is empty, very long, or holds control characters.
    """
    if not 1 <= len(text) <= MAX_PASSWORD or any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError(f"a password has 1 to {MAX_PASSWORD} characters, no control characters among them")
    return text


def _normal(password: str) -> bytes:
    # Keyboards differ in how they compose an é (RFC 7617 §2.1, RFC 8265 §4.2).
    return unicodedata.normalize("NFC", password).encode("utf-8")


def _scrypt(password: str, salt: bytes, cost: Cost, size: int) -> bytes:
    return hashlib.scrypt(
        _normal(password),
        salt=salt,
        n=1 << cost.ln,
        r=cost.r,
        p=cost.p,
        maxmem=cost.memory + 128 * cost.r * (cost.p + 2) + (1 << 20),
        dklen=size,
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii").rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise BadHash("its salt or its digest is cut short; copy all of it") from None
