"""What states, steps and evidence mean, in plain words. Our own text alone: nothing of others is in it."""

from __future__ import annotations

from dataclasses import dataclass

from onceproxy.core.attempts import WirePhase
from onceproxy.core.receipts import Receipt, Source
from onceproxy.core.states import State

STATES = {
    State.IN_DOUBT: "in doubt",
    State.CLAIMED: "under way",
    State.COMPLETED: "completed",
    State.RELEASED: "released",
    State.TOMBSTONE: "expired",
    State.ABSENT: "gone",
}
"""What a state is called beside its colour."""

STEPS = {
    "claimed": "Attempt {attempt} began",
    "completed": "It happened, and the answer was stored",
    "released": "It did not happen",
    "in_doubt": "The attempt ended without proof",
    "healed": "The attempt’s own late evidence settled the doubt",
    "lost": "The proxy that was sending is gone",
    "expired": "The time to keep the answer ran out",
    "forgotten": "The time to remember it ran out",
    "confirmed": "{source} said that it happened",
    "refuted": "{source} said that it did not happen",
    "purged": "A person removed the receipt",
    "replayed": "A copy was answered from the receipt",
    "observed": "A copy was sent all the same, as the route only observes",
    "abandoned": "Nothing was sent: whoever asked had left",
    "executed-twice": "Executed twice: attempt {attempt} did it as well, or may have",
    "late-release": "Attempt {attempt} says that it did nothing, after a later one had begun",
    "contradicted": "The attempt’s late evidence says other than what was settled",
}
"""What each kind of event says. ``{source}`` is who told, ``{attempt}`` the attempt's number."""

PHASES = {
    WirePhase.RESOLVING: "name looked up",
    WirePhase.CONNECTING: "connecting",
    WirePhase.SENT_NOTHING: "connected",
    WirePhase.SENDING: "sending began",
    WirePhase.SENT: "all sent",
    WirePhase.HEAD_RECEIVED: "answer began",
    WirePhase.BODY_RECEIVED: "answer whole",
}

_DOUBTS = {
    WirePhase.SENDING: "A part of the request was sent, and then no more was heard. The upstream may have "
    "acted on it, or thrown it away.",
    WirePhase.SENT: "All of the request was sent, and no answer came. The upstream may have done it and lost "
    "the answer, or never have got that far.",
    WirePhase.HEAD_RECEIVED: "The answer began and was cut off. Most likely the upstream did something; what "
    "it said to the end is not known.",
    WirePhase.BODY_RECEIVED: "The upstream answered with an error that does not tell whether it acted before "
    "it failed.",
}
_OWNER_LOST = (
    "The proxy that was sending ended, or lost its lease, before it could say what happened. The request may "
    "have arrived, or may never have left."
)
_ONCE = "It is not sent again by itself: that might do it twice."


@dataclass(frozen=True, slots=True)
class Account:
    """What a state means, and what is to be done."""

    headline: str
    meaning: str
    next_step: str


def account(receipt: Receipt) -> Account:
    """Say what a receipt means and what to do next."""
    match receipt.state:
        case State.IN_DOUBT:
            return Account(
                "Nobody knows whether this happened",
                f"{doubt(receipt.phase, receipt.failure)} {_ONCE}",
                "Look at the upstream, in its dashboard or its list of orders, whether it was done. Wait "
                "until what was sent must have arrived. Then say what you saw.",
            )
        case State.CLAIMED if receipt.lease_left <= 0:
            return Account(
                "Nobody knows whether this happened",
                f"{_OWNER_LOST} {_ONCE}",
                "Look at the upstream whether it was done, and say what you saw.",
            )
        case State.CLAIMED:
            return Account(
                "It is being sent",
                "A proxy holds the claim and is at work on it. Copies wait for its answer.",
                "Nothing: wait for it.",
            )
        case State.COMPLETED:
            return Account("It happened", _told(receipt), _while_kept(receipt))
        case State.RELEASED:
            return Account(
                "It did not happen",
                "Nothing was sent, or the upstream turned it away, or it was said so by whoever looked.",
                "Nothing: the next copy is sent.",
            )
    return Account(
        "It happened, some time ago",
        "The answer was kept for its time and is gone. That it happened is remembered for a while longer.",
        "Nothing. What a late copy gets is the route’s choice (after_ttl).",
    )


def doubt(phase: str | None, failure: str | None) -> str:
    """Say why nobody knows, from how far an attempt came."""
    if failure == "owner-lost" or phase is None:
        return _OWNER_LOST
    return _DOUBTS.get(WirePhase(phase), _OWNER_LOST) if phase in _DOUBTS else _OWNER_LOST


def _told(receipt: Receipt) -> str:
    return {
        Source.UPSTREAM: "The upstream’s answer is stored. Each copy gets it, and nothing is sent.",
        Source.PROBE: "The answer was lost. A probe found that it had happened; copies get what it saw.",
        Source.OPERATOR: "The answer was lost. A person looked, and entered the answer that copies get.",
    }[receipt.source]


def _while_kept(receipt: Receipt) -> str:
    if receipt.expires_in <= 0:
        return "Nothing. The time for which its answer is kept is over."
    return f"Nothing. Copies are answered for another {duration(receipt.expires_in)}."


def step(kind: str, attempt: int, reason: str | None) -> str:
    """Say what an event of the audit trail was."""
    source = {"operator": "A person", "probe": "A probe"}.get(reason or "", "Somebody")
    return STEPS.get(kind, "Something that a later version knows").format(attempt=attempt, source=source)


def copies(kind: str, count: int) -> str:
    """Say what became of several copies in a row."""
    what = (
        "answered from the receipt" if kind == "replayed" else "sent all the same, as the route only observes"
    )
    return f"{count} copies were {what}"


def duration(seconds: float) -> str:
    """Say how long something takes, in the unit that fits."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def ago(seconds: float) -> str:
    """Say how long ago something was: in whole units, as it is looked at and not measured."""
    return "just now" if seconds < 1 else f"{age(seconds)} ago"


def age(seconds: float) -> str:
    """Say how old something is, likewise."""
    return duration(seconds) if seconds >= 60 else f"{max(0, int(seconds))} s"


def size(count: int) -> str:
    """Say how large something of ``count`` bytes is."""
    if count == 1:
        return "1 byte"
    if count < 1024:
        return f"{count} bytes"
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count >= 1024**power:
            return f"{count / 1024**power:.1f} {unit}"
    return f"{count} bytes"
