"""UUIDs of the driver's own type: equal to the standard library's, at a tenth of its price.

Each request has two, which are made, hashed and sent, and that type does all of it in C.
"""

from __future__ import annotations

import os
from uuid import UUID

from asyncpg.pgproto import pgproto

_VERSION = 0x4 << 76 | 0x2 << 62  # RFC 9562 §5.4: random
_RANDOM = ~(0xF << 76 | 0x3 << 62)


def new_uuid() -> UUID:
    """Return a random UUID (RFC 9562 §5.4)."""
    return uuid_of(int.from_bytes(os.urandom(16), "big") & _RANDOM | _VERSION)


def uuid_of(number: int) -> UUID:
    """Return the UUID with this ``int``, which has 128 bits."""
    return pgproto.UUID(number.to_bytes(16, "big"))
