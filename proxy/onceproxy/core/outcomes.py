"""What an attempt proves (the outcome table).

A status can be an answer (a declined card is one), a refusal at the door (nothing was done), or no proof at
all (a 500 may come before or after the charge). A lost connection proves nothing once a byte was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onceproxy.core.attempts import NOTHING_SENT, Attempt, Failure, WirePhase
from onceproxy.core.policies import OutcomeRules
from onceproxy.core.states import Event


class OutcomeKind(StrEnum):
    """What is known after an attempt."""

    COMPLETED = "completed"
    RELEASED = "released"
    IN_DOUBT = "in_doubt"


EVENTS = {
    OutcomeKind.COMPLETED: Event.COMPLETE,
    OutcomeKind.RELEASED: Event.RELEASE,
    OutcomeKind.IN_DOUBT: Event.DOUBT,
}

# Turned away at the door: authentication, method, timeout of the request itself, conflict, misdirection,
# lock, replay of early data, rate limit. 409 is among them because a pinned 409 would hide the answer of an
# upstream that is still at work on the same key.
RELEASING_STATUSES = frozenset({401, 403, 407, 408, 409, 421, 423, 425, 429})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt proved, and the reason in a few words."""

    kind: OutcomeKind
    reason: str


def classify(attempt: Attempt, rules: OutcomeRules | None = None) -> Outcome:
    """Conclude from an attempt's evidence whether the action happened, did not, or nobody can know.

    ``rules`` move single statuses; they have no say in what a lost connection proves.
    """
    if attempt.phase is WirePhase.BODY_RECEIVED and attempt.status is not None:
        return classify_status(attempt.status, rules)
    failure = attempt.failure or Failure.CONNECTION_LOST
    if attempt.phase in NOTHING_SENT:
        return Outcome(OutcomeKind.RELEASED, failure.value)
    return Outcome(OutcomeKind.IN_DOUBT, failure.value)


def after_doubt(outcome: Outcome) -> Outcome:
    """Return what ``outcome`` says of an action whose earlier attempt is in doubt.

    That this attempt did nothing proves nothing about the one before: were the action released, a copy that
    comes when the upstream has forgotten the first attempt would do it twice.
    """
    if outcome.kind is OutcomeKind.RELEASED:
        return Outcome(OutcomeKind.IN_DOUBT, "earlier-attempt-in-doubt")
    return outcome


def classify_status(status: int, rules: OutcomeRules | None = None) -> Outcome:
    """Conclude from the status of a whole response."""
    reason = f"status-{status}"
    if rules is not None:
        for kind, moved in (
            (OutcomeKind.IN_DOUBT, rules.in_doubt),
            (OutcomeKind.RELEASED, rules.released),
            (OutcomeKind.COMPLETED, rules.completed),
        ):
            if status in moved:
                return Outcome(kind, reason)
    if status in RELEASING_STATUSES:
        return Outcome(OutcomeKind.RELEASED, reason)
    if 200 <= status < 500:
        return Outcome(OutcomeKind.COMPLETED, reason)
    return Outcome(OutcomeKind.IN_DOUBT, reason)
