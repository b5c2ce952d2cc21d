"""What others are told of, and how: the body, its signature, and when to try again.

The form is that of Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks), so that
receivers verify it with a library that they have.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from onceproxy.core.messages import RawHeaders
from onceproxy.core.receipts import RequestId

SECRET_PREFIX = "whsec_"  # noqa: S105 (how a secret begins is none)
LEAST_SECRET, MOST_SECRET = 24, 64  # bytes; Standard Webhooks, "Signature scheme"

FIRST_PAUSE = 5.0  # seconds
GROWTH = 3.0  # of a pause to the next: 5 s, 15 s, 45 s, 2 min, 7 min, 20 min, 1 h, 3 h
LONGEST_PAUSE = 6 * 3600.0  # seconds
GIVE_UP = 3 * 86_400.0  # seconds: a receiver that is down over a weekend still gets it


class NoticeKind(StrEnum):
    """What there is to tell."""

    OUTCOME_UNKNOWN = "outcome-unknown"
    EXECUTED_TWICE = "executed-twice"


@dataclass(frozen=True, slots=True)
class Notice:
    """An event that others are told of.

    ``at`` is when it happened, ``state`` that of the receipt afterwards; ``attempt`` is the one that it is
    about. What the receipt would say is None where it has been removed since. ``url`` is as masked as it is
    stored.
    """

    request_id: RequestId
    event_id: UUID
    kind: NoticeKind
    at: datetime
    attempt: int
    state: str
    phase: str | None
    reason: str | None
    route: str | None
    method: str | None
    url: str | None
    first_attempt_at: datetime | None

    @property
    def message_id(self) -> str:
        """What a receiver knows it by, however often it comes."""
        return f"msg_{self.event_id.hex}"

    def body(self, receipts_url: str) -> bytes:
        """Return the body. ``receipts_url`` is where people find receipts, without a slash at the end."""
        first = self.first_attempt_at
        data = {
            "request_id": str(self.request_id),
            "route": self.route,
            "method": self.method,
            "url": self.url,
            "state": self.state,
            "attempt": self.attempt,
            "phase": self.phase,
            "reason": self.reason,
            "first_attempt_at": first.isoformat() if first is not None else None,
            "receipt": f"{receipts_url}/{self.request_id}",
        }
        told = {"type": self.kind.value, "timestamp": self.at.isoformat(), "data": data}
        return json.dumps(told, separators=(",", ":")).encode("ascii")


@dataclass(frozen=True, slots=True)
class Taken:
    """A notice that is ours to tell for a while.

    ``tries``: how often it was taken, this time included. ``told``: marks of the hooks that have it already.
    ``age`` is in seconds.
    """

    notice: Notice
    tries: int
    told: frozenset[bytes]
    age: float


def read_secret(text: str) -> bytes:
    """Return the key that a secret stands for: base64, with or without ``whsec_`` in front.

    Raises:
        ValueError: it is something else, or too short or long. The text does not quote it.
    """
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not LEAST_SECRET <= len(key) <= MOST_SECRET:
        raise ValueError(
            f"a secret is {SECRET_PREFIX} and {LEAST_SECRET} to {MOST_SECRET} random bytes in base64; "
            f'`echo "{SECRET_PREFIX}$(openssl rand -base64 32)"` makes one'
        )
    return key


def signed_headers(key: bytes, message_id: str, now: int, body: bytes) -> RawHeaders:
    """Return what goes with a body that is sent at ``now``, in seconds since 1970.

    Standard Webhooks 1.0.0, "Webhook Headers" and "Signature scheme": v1 is HMAC-SHA256 over id, time and
    body. Each try is signed anew, as receivers refuse what is old.
    """
    content = b"%s.%d.%s" % (message_id.encode("ascii"), now, body)
    signature = base64.b64encode(hmac.digest(key, content, hashlib.sha256))
    return (
        (b"Content-Type", b"application/json"),
        (b"User-Agent", b"onceproxy"),
        (b"webhook-id", message_id.encode("ascii")),
        (b"webhook-timestamp", b"%d" % now),
        (b"webhook-signature", b"v1," + signature),
    )


def pause_after(tries: int, age: float, dice: float) -> float | None:
    """Return the seconds until the next try after ``tries`` (1 or more) failed ones; None: it is given up.

    ``age`` is for how many seconds it has been waiting; ``dice`` is 0 to 1, and makes it half as long or
    longer, so that not all that failed together comes back together.
    """
    if age >= GIVE_UP:
        return None
    # No larger power than it takes to get to the longest pause.
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * GROWTH ** min(tries - 1, 16))
    return longest * (0.5 + dice / 2)


def accepted(status: int) -> bool:
    """Say whether a receiver has it: 2xx, and nothing else (Standard Webhooks, "Webhook delivery")."""
    return 200 <= status < 300
