"""The life of a receipt: one table, and the rules behind it.

An action has at most one receipt. The receipt's state says what is known about the side effect:

- ``CLAIMED``: an instance holds the exclusive right to send, and may be sending now.
- ``COMPLETED``: it happened, and the response is kept. It never changes again, other than by its expiry or
  by an operator's purge.
- ``RELEASED``: it provably did not happen. The row stays, so that attempts keep counting; the next copy
  may claim it.
- ``IN_DOUBT``: nobody can know. The bytes may have reached the upstream. It is not free: only evidence, an
  operator's word, or a policy that was chosen for it (``RESEND``) leaves this state.
- ``TOMBSTONE``: it happened, and its time to live has run out. The response is gone; that it happened is
  remembered for a while longer.
- ``ABSENT`` stands for "no row", or one that is not even remembered any more.

Two rules carry the promise. A claim never turns free by the passing of time: when its owner is gone it
turns ``IN_DOUBT`` (``LOSE``). And a settlement is accepted only from the attempt it belongs to, so that an
attempt which was slow can still *heal* the doubt about itself (``COMPLETE`` and ``RELEASE`` from
``IN_DOUBT``), or outweigh a probe or a person who said that it did nothing (``COMPLETE`` from ``RELEASED``),
but can never speak for a later one. Nor for an earlier one: an attempt that was made in spite
of a doubt never releases (``outcomes.after_doubt``).

The store enforces the same table in its guarded statements; ``docs/states.md`` shows it. Tests compare
all three.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What is known about an action's side effect."""

    ABSENT = "absent"
    CLAIMED = "claimed"
    COMPLETED = "completed"
    RELEASED = "released"
    IN_DOUBT = "in_doubt"
    TOMBSTONE = "tombstone"


class Event(StrEnum):
    """What moves a receipt from one state to another."""

    CLAIM = "claim"  # a copy of the action asks for the right to send
    COMPLETE = "complete"  # the attempt has a response that proves what happened
    RELEASE = "release"  # the attempt proves that nothing happened
    DOUBT = "doubt"  # the attempt ended and can't tell
    LOSE = "lose"  # the owner's lease ran out, or it was seen dead
    RESEND = "resend"  # a copy asks to send what is in doubt again, as its route's policy allows
    CONFIRM = "confirm"  # a probe or an operator says that it happened
    REFUTE = "refute"  # a probe or an operator says that it did not happen
    EXPIRE = "expire"  # the receipt's time to live ran out
    FORGET = "forget"  # the time to remember it ran out
    PURGE = "purge"  # an operator removes it


class IllegalTransition(Exception):
    """An event met a receipt in a state that it can't happen in."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"a receipt that is {state} can't {event}")
        self.state = state
        self.event = event


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.ABSENT, Event.CLAIM): State.CLAIMED,
    (State.RELEASED, Event.CLAIM): State.CLAIMED,
    (State.TOMBSTONE, Event.CLAIM): State.CLAIMED,
    (State.CLAIMED, Event.COMPLETE): State.COMPLETED,
    (State.CLAIMED, Event.RELEASE): State.RELEASED,
    (State.CLAIMED, Event.DOUBT): State.IN_DOUBT,
    (State.CLAIMED, Event.LOSE): State.IN_DOUBT,
    (State.IN_DOUBT, Event.COMPLETE): State.COMPLETED,
    (State.IN_DOUBT, Event.RELEASE): State.RELEASED,
    (State.RELEASED, Event.COMPLETE): State.COMPLETED,
    (State.IN_DOUBT, Event.CONFIRM): State.COMPLETED,
    (State.IN_DOUBT, Event.REFUTE): State.RELEASED,
    (State.IN_DOUBT, Event.RESEND): State.CLAIMED,
    (State.COMPLETED, Event.EXPIRE): State.TOMBSTONE,
    (State.TOMBSTONE, Event.FORGET): State.ABSENT,
    (State.RELEASED, Event.FORGET): State.ABSENT,
    (State.COMPLETED, Event.PURGE): State.ABSENT,
    (State.RELEASED, Event.PURGE): State.ABSENT,
    (State.TOMBSTONE, Event.PURGE): State.ABSENT,
}


def advance(state: State, event: Event) -> State:
    """Return the state that follows ``state`` upon ``event``.

    Raises:
        IllegalTransition: the table has no such row.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None
