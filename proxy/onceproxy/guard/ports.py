"""The two ports of the guard: where receipts are kept, and how a request is sent.

They are narrow on purpose: the HTTP proxy and the Python library share one guard, and a simulated store
for tests is a page long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from onceproxy.core.attempts import Attempt
from onceproxy.core.limits import Limit
from onceproxy.core.messages import Body, Interim, Request, Response
from onceproxy.core.outcomes import Outcome
from onceproxy.core.receipts import Action, Claim, Receipt, RequestId, Source

TellInterim = Callable[[Interim], None] | None
"""Who is told the interim responses of an upstream, if anybody."""


class StoreUnavailable(Exception):
    """The store can't be reached or can't commit. Nothing that was asked for is known to be durable."""


class SettlementRefused(StoreUnavailable):
    """The store is there and does not take a settlement: a fault, of the data or of ours. Others may pass."""


class Unreadable(Exception):
    """What is stored of an answer is encrypted, and can't be decrypted; the text says why."""


class Settled(StrEnum):
    """What became of a settlement."""

    STORED = "stored"  # the receipt now says so, durably
    SUPERSEDED = "superseded"  # a later attempt began: kept as an audit event "executed-twice"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be written at the end of an attempt.

    ``keep_body`` false: the response's body is over the limit; its size and digest are kept in its place.
    """

    outcome: Outcome
    attempt: Attempt
    keep_body: bool = True

    @property
    def response(self) -> Response | None:
        """The response, or what had arrived of one that was cut."""
        return self.attempt.response or self.attempt.partial

    @property
    def kept_size(self) -> int:
        """Bytes of the body that are kept."""
        return self.response.body.size if self.response is not None and self.keep_body else 0


@dataclass(frozen=True, slots=True)
class Resolution:
    """What somebody other than the attempt itself says of an action in doubt.

    ``response`` is what copies will get, there exactly when it ``happened``; its headers are storable.
    ``note`` goes into the audit trail. ``settle``: seconds for which the doubt must have stood, by the
    store's clock; a younger one stays.
    """

    happened: bool
    source: Source
    note: str
    response: Response | None = None
    settle: float = 0.0


class Note(StrEnum):
    """What is worth an entry in the audit trail although it changes no state."""

    REPLAYED = "replayed"  # a copy was answered from the receipt
    OBSERVED = "observed"  # a copy was sent that would not have been, were the mode not observe


class Watch(Protocol):
    """Waits for news of one action, from this process or any other."""

    async def news(self, timeout: float) -> None:
        """Return when the receipt may have changed since the last call, or after ``timeout`` seconds.

        News that came between two calls are not lost: the next call returns at once.
        """
        ...


class Store(Protocol):
    """Durable receipts. Each verb is one transaction; each may raise ``StoreUnavailable``."""

    async def claim(self, action: Action) -> Claim | Receipt:
        """Claim an action, or return the receipt that stands in the way.

        A claim is durable when this returns. A receipt that is ``released`` with the same fingerprint, or
        whose ttl ran out, is claimed again. An action that is to be held for its likeness to an earlier one
        gets the receipt of that one.
        """
        ...

    async def settle(self, claim: Claim, settlement: Settlement) -> Settled:
        """Write the end of an attempt durably. May be repeated: the same settlement is stored once."""
        ...

    def at_hand(self, action: Action) -> Receipt | None:
        """Return the receipt that ``claim`` would return without asking anybody; None: it has to ask."""
        ...

    async def read(self, request_id: RequestId) -> Receipt | None:
        """Return the receipt, if there is one. A claim whose owner's lease ran out turns in_doubt first."""
        ...

    async def load(self, receipt: Receipt) -> Body | None:
        """Return the body of a receipt whose response has a ``BodyApart``: all of it, as it was written.

        None: it is gone, together with the receipt, or damaged. A reader, and no transaction.

        Raises:
            Unreadable: it is encrypted, and can't be decrypted.
            OverLimit: there is no room for it.
        """
        ...

    def watch(self, request_id: RequestId) -> AbstractContextManager[Watch]:
        """Listen for changes of one receipt while the context lasts. Holds no database connection."""
        ...

    async def resolve(self, request_id: RequestId, attempt: int, resolution: Resolution) -> bool:
        """Settle the doubt about an attempt durably; return whether it was still in doubt."""
        ...

    async def note(self, request_id: RequestId, note: Note, reason: str = "") -> None:
        """Write an entry that changes no state. A count and not a promise: it may be lost in a crash."""
        ...

    async def note_replays(self, copies: Mapping[RequestId, int]) -> None:
        """Write an entry for each of these actions: so many copies were answered from its receipt."""
        ...

    def may_send(self, claim: Claim) -> bool:
        """Say whether a claim's lease still runs: the check right before the first byte is sent."""
        ...


class Execute(Protocol):
    """Sends a request upstream exactly once and reports what it can prove."""

    async def send(
        self,
        request: Request,
        may_send: Callable[[], bool],
        *,
        reuse_idle: float | None = None,
        head_arrived: Callable[[Response], None] | None = None,
        interim: TellInterim = None,
    ) -> Attempt:
        """Send ``request`` and receive the whole response.

        ``may_send`` is asked right before the first byte is written; if it says no, nothing is sent and
        the failure is ``LEASE_LOST``. ``reuse_idle``: seconds that a connection may have been idle to be used
        again (None: the default). ``head_arrived`` is told the final response as soon as its head is there,
        with a ``GrowingBody``, and may hold that up; ``interim`` each interim one before it. Never raises for
        what the network does: the attempt tells it. Cancelling the call closes the connection and re-raises.
        """
        ...


@dataclass(frozen=True, slots=True)
class Unstored:
    """The end of an attempt that the store has not taken yet. ``route`` is for whoever counts."""

    claim: Claim
    settlement: Settlement
    route: str


class SpoolUnavailable(Exception):
    """The spool has no room, or its disk failed."""


class Spool(Protocol):
    """Keeps settlements that the store does not take, so that they outlive this process.

    Each verb may raise ``SpoolUnavailable``.
    """

    async def keep(self, unstored: Unstored) -> None:
        """Keep a settlement durably. May be repeated."""
        ...

    async def remove(self, claim: Claim) -> None:
        """Remove what was kept of an attempt, if anything: it is stored by now."""
        ...

    def left_behind(self) -> AsyncIterator[Unstored]:
        """Yield what others kept and can't store themselves any more, or do not seem to."""
        ...


class NoSpool:
    """Keeps nothing: what the store does not take stays in memory."""

    async def keep(self, unstored: Unstored) -> None:
        """Refuse."""
        raise SpoolUnavailable("there is no spool")

    async def remove(self, claim: Claim) -> None:
        """Do nothing."""

    async def left_behind(self) -> AsyncIterator[Unstored]:
        """Yield nothing."""
        nothing: tuple[Unstored, ...] = ()
        for unstored in nothing:
            yield unstored


class Meter(Protocol):
    """Counts what an operator must see."""

    def executed_twice(self, route: str) -> None:
        """An attempt that another one had superseded says that it did the action, or may have."""
        ...

    def observed(self, route: str, would: str) -> None:
        """A copy was sent in mode ``observe`` that would have been treated as ``would`` says."""
        ...

    def looks_repeated(self, route: str) -> None:
        """An action was sent that asks for the same as one just before it, under another key."""
        ...

    def unreadable(self, route: str) -> None:
        """A copy was refused because its receipt can't be decrypted."""
        ...

    def limit_hit(self, limit: Limit) -> None:
        """A limit had no room for something."""
        ...


class NoMeter:
    """Counts nothing."""

    def executed_twice(self, route: str) -> None:
        """Do nothing."""

    def observed(self, route: str, would: str) -> None:
        """Do nothing."""

    def unreadable(self, route: str) -> None:
        """Do nothing."""

    def looks_repeated(self, route: str) -> None:
        """Do nothing."""

    def limit_hit(self, limit: Limit) -> None:
        """Do nothing."""
