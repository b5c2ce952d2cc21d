"""A store in memory for tests of the guard alone: the same verbs, and faults on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from onceproxy.core.decisions import Claimable, Resend, decide
from onceproxy.core.messages import Body
from onceproxy.core.outcomes import EVENTS
from onceproxy.core.receipts import Action, Claim, Receipt, RequestId
from onceproxy.core.rules import FreshKey
from onceproxy.core.states import Event, State, advance
from onceproxy.guard.ports import Note, Resolution, Settled, Settlement, StoreUnavailable


@dataclass
class SimulatedWatch:
    bell: asyncio.Event

    async def news(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self.bell.wait()
        except TimeoutError:
            return
        self.bell.clear()


@dataclass
class SimulatedStore:
    """``fail`` is how many of the coming calls raise ``StoreUnavailable``."""

    receipts: dict[RequestId, Receipt] = field(default_factory=dict)
    tokens: dict[RequestId, UUID] = field(default_factory=dict)
    likenesses: dict[RequestId, bytes] = field(default_factory=dict)
    events: list[tuple[RequestId, str]] = field(default_factory=list)
    watches: list[tuple[RequestId, asyncio.Event]] = field(default_factory=list)
    fail: int = 0
    lease: bool = True
    apart: dict[RequestId, Body] = field(default_factory=dict)

    def _call(self) -> None:
        if self.fail:
            self.fail -= 1
            raise StoreUnavailable("simulated")

    async def claim(self, action: Action) -> Claim | Receipt:
        self._call()
        known = self.receipts.get(action.request_id)
        decision = decide(action, known)
        if known is not None and not isinstance(decision, Claimable | Resend):
            return known
        like = self._like(action)
        if like is not None and action.likeness is not None and action.likeness.treatment is FreshKey.HOLD:
            return self.receipts[like]
        state = State.ABSENT if known is None else known.state
        event = Event.RESEND if isinstance(decision, Resend) else Event.CLAIM
        attempt = 1 if known is None else known.attempt + 1
        claim = Claim(action.request_id, uuid4(), attempt, doubtful=state is State.IN_DOUBT, like=like)
        self.tokens[action.request_id] = claim.token
        if action.likeness is not None:
            self.likenesses[action.request_id] = action.likeness.digest
        self.receipts[action.request_id] = Receipt(
            action.request_id,
            advance(state, event),
            attempt,
            action.kind,
            action.fingerprint,
            action.credential,
            action.route,
            action.method,
            action.url,
            age=0.0,
            lease_left=20.0,
        )
        self.events.append((action.request_id, "claim"))
        return claim

    def _like(self, action: Action) -> RequestId | None:
        asked = action.likeness
        if asked is None or asked.treatment is FreshKey.ALLOW:
            return None
        return next((one for one, digest in self.likenesses.items() if digest == asked.digest), None)

    async def settle(self, claim: Claim, settlement: Settlement) -> Settled:
        self._call()
        if self.tokens[claim.request_id] != claim.token:
            self.events.append((claim.request_id, "executed-twice"))
            return Settled.SUPERSEDED
        receipt = self.receipts[claim.request_id]
        event = EVENTS[settlement.outcome.kind]
        attempt = settlement.attempt
        response = settlement.response
        self.receipts[claim.request_id] = replace(
            receipt,
            state=advance(receipt.state, event),
            response=response,
            body_kept=settlement.keep_body,
            body_size=response.body.size if response is not None else 0,
            phase=attempt.phase.value,
            failure=attempt.failure.value if attempt.failure else None,
            detail=attempt.detail,
        )
        self.events.append((claim.request_id, event.value))
        self.ring(claim.request_id)
        return Settled.STORED

    async def read(self, request_id: RequestId) -> Receipt | None:
        self._call()
        return self.receipts.get(request_id)

    async def load(self, receipt: Receipt) -> Body | None:
        self._call()
        return self.apart.get(receipt.request_id)

    @contextmanager
    def watch(self, request_id: RequestId) -> Iterator[SimulatedWatch]:
        entry = (request_id, asyncio.Event())
        self.watches.append(entry)
        try:
            yield SimulatedWatch(entry[1])
        finally:
            self.watches.remove(entry)

    async def resolve(self, request_id: RequestId, attempt: int, resolution: Resolution) -> bool:
        self._call()
        receipt = self.receipts[request_id]
        if (
            receipt.state is not State.IN_DOUBT
            or receipt.attempt != attempt
            or receipt.age < resolution.settle
        ):
            return False
        event = Event.CONFIRM if resolution.happened else Event.REFUTE
        response = resolution.response
        self.receipts[request_id] = replace(
            receipt,
            state=advance(receipt.state, event),
            response=response,
            body_size=response.body.size if response is not None else 0,
            source=resolution.source,
        )
        self.events.append((request_id, event.value))
        self.ring(request_id)
        return True

    async def note(self, request_id: RequestId, note: Note, reason: str = "") -> None:
        self._call()
        self.events.append((request_id, note.value))

    def at_hand(self, action: Action) -> Receipt | None:
        return None

    async def note_replays(self, copies: Mapping[RequestId, int]) -> None:
        for request_id in copies:
            await self.note(request_id, Note.REPLAYED)

    def may_send(self, claim: Claim) -> bool:
        return self.lease

    def ring(self, request_id: RequestId) -> None:
        for watched, bell in self.watches:
            if watched == request_id:
                bell.set()

    def lose(self, request_id: RequestId) -> None:
        """The owner's lease ran out."""
        receipt = self.receipts[request_id]
        self.receipts[request_id] = replace(receipt, state=advance(receipt.state, Event.LOSE))
        self.ring(request_id)
