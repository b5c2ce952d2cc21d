"""The store as a page of Python: rows, guards, events and leases under a clock that a test turns.

The conditions are those of the guarded statements (``store/sql``); what follows an event comes from
``core.states``, and what stands in a claim's way from ``core.decisions``. ``test_differential`` holds this
model to the real store, and ``simulation`` uses it for schedules by the hundred thousand. So it is quick:
no tasks, no sockets, nothing is copied that need not be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from uuid import UUID

from onceproxy.core.decisions import Claimable, Resend, decide
from onceproxy.core.messages import Response
from onceproxy.core.outcomes import EVENTS, OutcomeKind
from onceproxy.core.receipts import Action, Claim, Receipt, RequestId, Source
from onceproxy.core.states import TRANSITIONS, Event, State, advance
from onceproxy.guard.ports import Settled

LEASE = 20.0
SETTLED_STATES = frozenset({State.COMPLETED, State.RELEASED, State.TOMBSTONE})


@dataclass(slots=True)
class Row:
    """A row of ``receipts``, as far as anything depends on it."""

    action: Action  # of the last claim
    state: State
    previous: State
    attempt: int
    token: UUID
    instance: int
    created: float
    changed: float
    expires: float | None = None
    forget: float | None = None
    response: Response | None = None
    source: Source = Source.UPSTREAM


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of ``events``."""

    request_id: RequestId
    kind: str
    attempt: int
    state: State
    token: UUID


@dataclass
class ModelStore:
    """``faults`` name protections that are taken out, to see that a test notices."""

    now: float = 0.0
    rows: dict[RequestId, Row] = field(default_factory=dict)
    leases: dict[int, float] = field(default_factory=dict)
    events: list[Entry] = field(default_factory=list)
    faults: frozenset[str] = frozenset()

    def live(self, instance: int) -> bool:
        return self.leases.get(instance, -1.0) > self.now

    def end(self, instance: int) -> None:
        self.leases.pop(instance, None)

    def claim(self, action: Action, token: UUID, instance: int) -> Claim | Receipt | None:
        """Claim, or return the receipt in the way; None: the instance is dead."""
        receipt = self.read(action.request_id)
        row = self.rows.get(action.request_id)
        if row is not None and row.token == token:
            return self._claim_of(row) if row.state is State.CLAIMED else None
        if not self.live(instance):
            return None
        decision = decide(action, receipt)
        if receipt is not None and not isinstance(decision, Claimable | Resend):
            return receipt
        now, attempt, created = self.now, 1, self.now
        if row is None:
            state = State.ABSENT
        else:
            state, attempt = row.state, row.attempt + 1
            if state is State.COMPLETED or state is State.TOMBSTONE:
                if state is State.COMPLETED:
                    self._tell(row, "expired", State.TOMBSTONE)
                    state = State.TOMBSTONE
                if receipt is None:
                    state = State.ABSENT
            else:
                created = row.created
        event = Event.RESEND if state is State.IN_DOUBT else Event.CLAIM
        previous = row.state if row is not None else state  # an expiry and a claim are one step for the row
        new = Row(action, advance(state, event), previous, attempt, token, instance, created, now)
        self.rows[action.request_id] = new
        self._tell(new, "claimed", State.CLAIMED)
        return self._claim_of(new)

    def _claim_of(self, row: Row) -> Claim:
        action, left = row.action, math.inf
        resent = row.previous is State.IN_DOUBT
        if resent:
            left = (action.policy.resend_window or 0.0) - (self.now - row.created)
        return Claim(action.request_id, row.token, row.attempt, doubtful=resent, resend_left=left)

    def settle(self, claim: Claim, kind: OutcomeKind, response: Response | None) -> Settled:
        row = self.rows.get(claim.request_id)
        ours = row is not None and row.token == claim.token and row.attempt == claim.attempt
        if row is not None and (ours or "no-fencing" in self.faults):
            after = TRANSITIONS.get((row.state, EVENTS[kind]))
            if "completed-is-not-final" in self.faults and row.state is State.COMPLETED:
                after = State(kind.value)
            if after is not None:
                healed = row.state is not State.CLAIMED
                self._move(row, after, response if kind is not OutcomeKind.RELEASED else None)
                row.source = Source.UPSTREAM
                self._tell(row, "healed" if healed else after.value, after)
                return Settled.STORED
        state = row.state if row is not None else State.ABSENT
        if ours and state.value == kind.value:
            if kind is OutcomeKind.IN_DOUBT:
                self._note(claim, "in_doubt", state)  # the claim was lost, and now there is evidence as well
            return Settled.STORED
        if ours or row is None:
            note = "contradicted"
        else:
            note = "late-release" if kind is OutcomeKind.RELEASED else "executed-twice"
        self._note(claim, note, state)
        return Settled.SUPERSEDED

    def read(self, request_id: RequestId) -> Receipt | None:
        """Look; a claim whose owner is gone turns in_doubt first."""
        row = self.rows.get(request_id)
        if row is None:
            return None
        now, lease_left = self.now, 0.0
        if row.state is State.CLAIMED:
            lease_left = self.leases.get(row.instance, now) - now
            if lease_left <= 0:
                self.lose(row)
        state = row.state
        if row.expires is not None:
            if row.forget is not None and row.forget <= now:
                return None
            if state is State.COMPLETED and row.expires <= now:
                state = State.TOMBSTONE
        action = row.action
        return Receipt(
            request_id,
            state,
            row.attempt,
            action.kind,
            action.fingerprint,
            action.credential,
            action.route,
            action.method,
            action.url,
            now - row.changed,
            max(0.0, lease_left),
            row.response if state is not State.TOMBSTONE else None,
            source=row.source,
            first_age=now - row.created,
        )

    def lose(self, row: Row) -> None:
        after = advance(row.state, Event.LOSE)
        if "lost-is-free" in self.faults:
            after = State.RELEASED
        self._move(row, after, None)
        if "silent-loss" not in self.faults:
            self._tell(row, "lost", after)

    def resolve(
        self,
        request_id: RequestId,
        attempt: int,
        response: Response | None,
        source: Source,
        settle: float = 0.0,
    ) -> bool:
        row = self.rows.get(request_id)
        if row is None or row.state is not State.IN_DOUBT:
            return False
        if row.attempt != attempt or row.changed > self.now - settle:
            return False
        happened = response is not None
        self._move(row, advance(row.state, Event.CONFIRM if happened else Event.REFUTE), response)
        row.source = source
        self._tell(row, "confirmed" if happened else "refuted", row.state)
        return True

    def purge(self, request_id: RequestId) -> bool:
        row = self.rows.get(request_id)
        if row is None or row.state not in SETTLED_STATES:
            return False
        self._tell(row, "purged", advance(row.state, Event.PURGE))
        del self.rows[request_id]
        return True

    def collect(self) -> None:
        """Expire and forget what is due."""
        for request_id, row in list(self.rows.items()):
            if row.state not in SETTLED_STATES:
                continue
            if row.forget is not None and row.forget <= self.now:
                self._tell(row, "forgotten", State.ABSENT)
                del self.rows[request_id]
            elif row.state is State.COMPLETED and row.expires is not None and row.expires <= self.now:
                row.previous, row.state = row.state, advance(row.state, Event.EXPIRE)
                row.changed, row.response = self.now, None
                self._tell(row, "expired", row.state)

    def abandon(self, request_id: RequestId, token: UUID) -> None:
        """Give a claim back that was never handed out."""
        row = self.rows.get(request_id)
        if row is None or row.token != token:
            return
        doubt = "released-after-doubt" not in self.faults and self._resent(row)
        if row.state is State.CLAIMED or (row.state is State.IN_DOUBT and not doubt):
            self._move(row, State.IN_DOUBT if doubt else State.RELEASED, None)
            self._tell(row, "abandoned", row.state)

    def _note(self, claim: Claim, kind: str, state: State) -> None:
        for entry in self.events:
            if entry.token == claim.token and entry.kind == kind:
                return
        self.events.append(Entry(claim.request_id, kind, claim.attempt, state, claim.token))

    def _resent(self, row: Row) -> bool:
        """Whether the row's attempt began in spite of a doubt: its claim's event says so."""
        before = State.ABSENT
        for entry in self.events:
            if entry.request_id == row.action.request_id:
                if entry.kind == "claimed" and entry.attempt == row.attempt and before is State.IN_DOUBT:
                    return True
                before = entry.state
        return False

    def _move(self, row: Row, state: State, response: Response | None) -> None:
        policy = row.action.policy
        row.previous, row.state, row.changed, row.response = row.state, state, self.now, response
        row.expires = self.now + policy.ttl if state is State.COMPLETED else None
        settled = state is State.COMPLETED or state is State.RELEASED
        row.forget = self.now + policy.ttl + policy.tombstone if settled else None

    def _tell(self, row: Row, kind: str, state: State) -> None:
        self.events.append(Entry(row.action.request_id, kind, row.attempt, state, row.token))
