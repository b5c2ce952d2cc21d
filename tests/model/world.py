"""The world of a schedule: processes, copies of one action, the upstream's memory, and who said what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import NoReturn
from uuid import UUID

from model.store import LEASE, ModelStore
from onceproxy.core.attempts import Attempt
from onceproxy.core.messages import BytesBody, Response
from onceproxy.core.outcomes import OutcomeKind
from onceproxy.core.policies import AfterTtl, InDoubt, Policy
from onceproxy.core.probes import Probe
from onceproxy.core.receipts import Action, Claim, IdentityKind, RequestId
from onceproxy.core.states import State
from onceproxy.guard.ports import Settled

DELIVERY = 10.0  # seconds in which what was sent arrives, or never
SETTLE = 15.0
WINDOW = 300.0
TTL = 1000.0
TOMBSTONE = 5000.0
MARGIN = 1.0  # seconds that a process stops before its lease does

PROBE = Probe("https://api.example/orders?reference={key}", "$.data[0]", settle=SETTLE)
POLICIES = [
    Policy(
        in_doubt=in_doubt, upstream_window=WINDOW, probe=PROBE, ttl=TTL, tombstone=TOMBSTONE, after_ttl=after
    )
    for in_doubt in InDoubt
    for after in AfterTtl
]
ID = RequestId(bytes(32))
FINGERPRINTS = (b"a" * 32, b"b" * 32)
ACTIONS = {
    (number, print_): Action(
        ID, IdentityKind.KEY, 1, (), print_, b"", "r", "POST", "https://api.example/pay", policy
    )
    for number, policy in enumerate(POLICIES)
    for print_ in FINGERPRINTS
}

Snapshot = tuple[State, UUID | None, int, Response | None, float | None]
"""State, token, attempt, response and expiry of the receipt."""


class Broken(AssertionError):
    """An invariant does not hold; the text says which, and how to see the schedule again."""


@dataclass(slots=True, eq=False)
class Process:
    """One proxy: an instance at a time, with a lease that it knows of."""

    number: int
    instance: int
    deadline: float  # until when it believes in its lease
    alive: bool = True
    suspended: bool = False
    claimed: dict[UUID, float] = field(default_factory=dict)  # until when each may be sent


@dataclass(slots=True, eq=False)
class Copy:
    """One request of a client, in one process. ``step`` is what it does next."""

    number: int
    process: Process
    action: Action
    step: Callable[[World, Copy], None]
    token: UUID
    instance: int = 0  # for which it claims
    claim: Claim | None = None
    attempt: Attempt | None = None
    sent_at: float = 0.0
    kind: OutcomeKind | None = None
    settled: Settled | None = None
    asked: tuple[int, bool, float] | None = None  # attempt, whether it was there, when
    done: bool = False
    spooled: bool = False


class World:
    """One schedule. ``faults`` name protections that are taken out; ``trace`` tells each step."""

    def __init__(self, seed: int, *, faults: frozenset[str] = frozenset(), trace: bool = False) -> None:
        self.seed = seed
        self.faults = faults
        self.random = Random(seed)
        self.rnd = self.random.random
        self.store = ModelStore(faults=faults)
        self.traced: list[str] | None = [] if trace else None
        self.number = int(self.rnd() * len(POLICIES))
        self.policy = POLICIES[self.number]
        self.deduplicates = self.policy.in_doubt is InDoubt.RESEND
        self.instances = 0
        self.tokens = 0
        self.processes = [self.process(n) for n in range(2)]
        self.copies: list[Copy] = []
        self.busy: list[Copy] = []
        self.loose: list[Copy] = []  # nobody listens any more, and they are still on their way
        self.abandoned: list[UUID] = []
        self.effects = 0  # in this life of the action
        self.remembered: dict[bytes, tuple[float, Response]] = {}
        self.responses: dict[bytes, bytes] = {}  # body → fingerprint it was made for
        self.seen_events = 0
        self.before: Snapshot = (State.ABSENT, None, 0, None, None)

    def process(self, number: int) -> Process:
        self.instances += 1
        self.store.leases[self.instances] = self.store.now + LEASE
        return Process(number, self.instances, self.store.now + LEASE - MARGIN)

    def token(self) -> UUID:
        self.tokens += 1
        return UUID(int=self.tokens)

    def response(self, status: int, print_: bytes) -> Response:
        body = b"%d" % len(self.responses)
        self.responses[body] = print_
        return Response(status, b"", (), BytesBody(body))

    def say(self, copy: Copy, words: str) -> None:
        if self.traced is not None:
            self.tell(f"copy {copy.number} in {copy.process.number} {words}")

    def tell(self, words: str) -> None:
        if self.traced is not None:
            row = self.store.rows.get(ID)
            state = f"{row.state} {row.attempt}" if row is not None else "absent"
            self.traced.append(f"{self.store.now:7g} s  {words}  [{state}]")

    def broken(self, what: str) -> NoReturn:
        raise Broken(f"seed {self.seed}, {self.policy.in_doubt}, {self.policy.after_ttl}: invariant {what}")
