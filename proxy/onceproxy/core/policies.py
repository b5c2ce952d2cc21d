"""How the actions of a route are treated: what the guard does where more than one answer would be right."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from onceproxy.core.probes import Probe


class Duplicate(StrEnum):
    """What a copy does that meets another one at work."""

    WAIT = "wait"  # for the other one's answer, as long as ``Policy.wait``
    CONFLICT = "conflict"  # nothing: it gets 409 in-progress at once


class InDoubt(StrEnum):
    """What a copy gets that meets an outcome which nobody knows."""

    REFUSE = "refuse"  # 409 outcome-unknown
    RESEND = "resend"  # sent again under the same key, while the upstream itself still deduplicates
    PROBE = "probe"  # a GET that was configured decides
    EXECUTE = "execute"  # sent again: for actions that do no harm twice (at least once, by name)


class AfterTtl(StrEnum):
    """What a copy gets that comes after its receipt's time to live."""

    NEW = "new"  # it is a new action
    REFUSE = "refuse"  # 410 receipt-expired, as long as the tombstone stands


class Mode(StrEnum):
    """Whether the guard's decisions are carried out."""

    ENFORCE = "enforce"
    OBSERVE = "observe"  # everything is sent; what would have been decided is recorded and counted
    OFF = "off"  # everything is sent, and nothing recorded


@dataclass(frozen=True, slots=True)
class OutcomeRules:
    """Statuses whose outcome a route moves away from the table in ``outcomes``."""

    completed: frozenset[int] = frozenset()
    released: frozenset[int] = frozenset()
    in_doubt: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """The treatment of an action. All times are in seconds.

    ``wait``: how long a copy waits for the one at work (0 or more). ``upstream_window``: how long after the
    first attempt ``resend`` may send again; more than 0 where ``in_doubt`` is ``resend``. ``ttl``: how long a
    receipt answers, more than 0; ``tombstone``: how long it is remembered after that, 0 or more.
    ``reuse_idle``: an upstream connection idle for less than this is used again. ``keep_cookies``: receipts
    keep Set-Cookie. ``redact``: JSONPaths of members of an answer that receipts do not keep.
    """

    mode: Mode = Mode.ENFORCE
    duplicate: Duplicate = Duplicate.WAIT
    wait: float = 30.0
    in_doubt: InDoubt = InDoubt.REFUSE
    upstream_window: float = 0.0
    probe: Probe | None = None
    outcomes: OutcomeRules = field(default_factory=OutcomeRules)
    ttl: float = 86_400.0
    after_ttl: AfterTtl = AfterTtl.NEW
    tombstone: float = 2_592_000.0
    reuse_idle: float = 1.0
    keep_cookies: bool = False
    redact: tuple[str, ...] = ()

    @property
    def resend_window(self) -> float | None:
        """Seconds since the first attempt within which a doubtful action is sent again; None: never."""
        match self.in_doubt:
            case InDoubt.RESEND:
                return self.upstream_window
            case InDoubt.EXECUTE:
                return float("inf")
            case InDoubt.REFUSE | InDoubt.PROBE:
                return None
