"""Actions, claims and receipts: what the guard and the store say to one another."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

from onceproxy.core.attempts import WirePhase
from onceproxy.core.messages import RawHeaders, Response
from onceproxy.core.policies import Policy
from onceproxy.core.rules import FreshKey
from onceproxy.core.states import State


class IdentityKind(StrEnum):
    """What an action's identity was made from."""

    KEY = "key"
    FINGERPRINT = "fingerprint"


class Source(StrEnum):
    """Who told that an action happened, and whose the stored response is."""

    UPSTREAM = "upstream"  # the attempt's own response
    PROBE = "probe"  # the response of a probe, in place of the one that was lost
    OPERATOR = "operator"  # what a person entered


_GROUPS = 64  # of five bits, which 32 bytes fill to 52: a power of two, so that halves of halves can be moved


def _halvings() -> Iterator[tuple[int, int]]:
    """Yield, from 32 groups down to one, the lower halves of all twice as many, and how far the upper go."""
    size = _GROUPS // 2
    while size:
        half = (1 << 5 * size) - 1
        yield sum(half << 16 * size * place for place in range(_GROUPS // size // 2)), 3 * size
        size //= 2


_HALVINGS = tuple(_halvings())
_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567".ljust(256)


@lru_cache(maxsize=1024)  # an answer and its line in the log show it
def _shown(digest: bytes) -> str:
    # base64.b32encode takes three times as long. Each five bits are moved into a byte of their own, all at
    # once: first the upper half of all goes up, then that of each half, and so on.
    bits = int.from_bytes(digest, "big") << 4
    for lower, up in _HALVINGS:
        low = bits & lower
        bits = low | (bits ^ low) << up
    return "oid_" + bits.to_bytes(52, "big").translate(_LETTERS).decode("ascii")


@dataclass(frozen=True, slots=True)
class RequestId:
    """The identity of an action: 32 bytes, shown as ``oid_`` and base32 (RFC 4648 §6, lower, unpadded)."""

    digest: bytes

    def __str__(self) -> str:
        return _shown(self.digest)

    @property
    def uuid(self) -> UUID:
        """The first 122 bits as a UUID of version 8 (RFC 9562 §5.8)."""
        number = int.from_bytes(self.digest[:16], "big")
        number &= ~(0xF << 76 | 0x3 << 62)
        return UUID(int=number | 0x8 << 76 | 0x2 << 62)

    @classmethod
    def parse(cls, text: str) -> RequestId:
        """Read what ``str()`` shows.

        Raises:
            ValueError: ``text`` is no request_id.
        """
        body = text.removeprefix("oid_").upper()
        try:
            digest = base64.b32decode(body + "=" * (-len(body) % 8))
        except ValueError:
            digest = b""
        if not text.startswith("oid_") or len(digest) != 32:
            raise ValueError(f"{text!r} is no request_id: it is oid_ and 52 letters and digits")
        return cls(digest)


@dataclass(frozen=True, slots=True)
class Likeness:
    """What actions have in common that ask for the same under different keys.

    ``digest`` is 32 bytes. ``treatment`` says what becomes of an action that is like an earlier one whose
    first attempt began less than ``window`` seconds ago (more than 0); with ``ALLOW`` nobody looks, and the
    digest is kept for those that come later.
    """

    digest: bytes
    treatment: FreshKey
    window: float


@dataclass(frozen=True, slots=True)
class Action:
    """What a client means to happen once, as the store needs to know it.

    ``fingerprint`` is 32 bytes. ``credential`` is a digest of the stable part of the upstream credential,
    or empty where the request carried none or the route does not care. ``url`` is for people: see
    ``masking``. ``canonical`` is the version of the canonical form. ``policy`` is what its route says
    now; a receipt keeps none of it but its own times. ``key`` is the client's own idempotency key,
    unquoted, where it sent one. ``likeness`` is there where the route cares for fresh keys. ``kept``:
    lines of ours that are stored with the response, for later copies; no client sees them. ``user`` is
    the proxy user who asks, for the share of one user; whether it is part of the identity, the route's
    scope says.
    """

    request_id: RequestId
    kind: IdentityKind
    canonical: int
    scope: tuple[str, ...]
    fingerprint: bytes
    credential: bytes
    route: str
    method: str
    url: str
    policy: Policy
    key: bytes | None = None
    likeness: Likeness | None = None
    kept: RawHeaders = ()
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The exclusive right to send an action once. ``token`` is new for each attempt.

    ``doubtful``: an earlier attempt is in doubt, and this one was allowed all the same. Whatever it proves
    about itself, that nothing happened it can't prove. ``like``: an earlier action that asks for the same
    under another key, where the route wants to be told. ``resend_left``: seconds from the claim in which a
    doubtful one may be sent, because the upstream forgets the earlier attempt then.
    """

    request_id: RequestId
    token: UUID
    attempt: int
    doubtful: bool = False
    resend_left: float = math.inf
    like: RequestId | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as the store knows it.

    ``age`` is the seconds since the state last changed, by the database's clock. ``lease_left`` is the
    seconds for which the owner of a ``claimed`` receipt is still believed to live (0 if not claimed).
    ``response`` is the response of a ``completed`` receipt, or the evidence of one in doubt; its body is
    empty where ``body_kept`` is false, and a ``BodyApart``, to be loaded, where it is large. ``body_size``
    and ``body_digest`` (SHA-256) describe what it is or was. ``phase``, ``failure`` and ``detail`` are the
    evidence of the last attempt. ``source`` says who told that it happened. ``first_age`` is the seconds
    since the first attempt was claimed. ``expires_in`` is the seconds for which a ``completed`` receipt still
    answers. ``unreadable``: why the response can't be decrypted, where it can't; it has its status
    then, and nothing else.
    """

    request_id: RequestId
    state: State
    attempt: int
    kind: IdentityKind
    fingerprint: bytes
    credential: bytes
    route: str
    method: str
    url: str
    age: float
    lease_left: float = 0.0
    response: Response | None = None
    body_kept: bool = True
    body_size: int = 0
    body_digest: bytes = b""
    phase: str | None = None
    failure: str | None = None
    detail: str = ""
    source: Source = Source.UPSTREAM
    first_age: float = 0.0
    expires_in: float = 0.0
    unreadable: str | None = None

    @property
    def partial(self) -> bool:
        """Whether the response is only what had arrived when it was cut: evidence, and never an answer."""
        cut = self.response is not None and self.phase == WirePhase.HEAD_RECEIVED
        return cut and self.state is State.IN_DOUBT
