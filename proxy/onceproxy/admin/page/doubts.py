"""An unknown outcome with its evidence, as a card shows it."""

from __future__ import annotations

from dataclasses import dataclass

from onceproxy.admin.page.words import PHASES, doubt
from onceproxy.core.attempts import WirePhase
from onceproxy.core.receipts import Receipt
from onceproxy.core.states import State
from onceproxy.store.records import Doubted


@dataclass(frozen=True, slots=True)
class Reached:
    """A phase of an attempt. ``how``: ``done``, ``stopped`` (no further than that) or ``not``."""

    words: str
    how: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """An action of which nobody knows whether it happened. ``age``: seconds for which it has been so."""

    id: str
    state: State
    method: str
    url: str
    route: str
    scope: tuple[str, ...]
    attempt: int
    age: float
    status: int | None
    detail: str
    why: str
    reached: tuple[Reached, ...]


def doubt_of(doubted: Doubted) -> Doubt:
    """Return what a card shows."""
    receipt = doubted.receipt
    return Doubt(
        id=str(receipt.request_id),
        state=receipt.state,
        method=receipt.method,
        url=receipt.url,
        route=receipt.route,
        scope=doubted.scope,
        attempt=receipt.attempt,
        age=receipt.age,
        status=receipt.response.status if receipt.response is not None else None,
        detail=receipt.detail,
        why=doubt(receipt.phase, receipt.failure),
        reached=reached(receipt),
    )


def reached(receipt: Receipt) -> tuple[Reached, ...]:
    """Return how far the last attempt came; nothing where that is not known."""
    phases = list(WirePhase)
    if receipt.phase not in phases:
        return ()
    last = phases.index(WirePhase(receipt.phase))
    settled = phases[last] is WirePhase.BODY_RECEIVED and receipt.state is not State.IN_DOUBT
    end = "done" if settled else "stopped"
    words = [PHASES[phase] for phase in phases]
    if phases[last] is WirePhase.BODY_RECEIVED and receipt.response is not None:
        words[last] = f"answered {receipt.response.status}"
    return tuple(
        Reached(one, "done" if at < last else end if at == last else "not") for at, one in enumerate(words)
    )
