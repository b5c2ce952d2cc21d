"""The real store against its model: the same calls, the same answers, the same rows, the same history."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from model.comparing import CLOSE, same_receipt, same_tables
from model.store import LEASE, ModelStore
from onceproxy.core.outcomes import OutcomeKind
from onceproxy.core.policies import AfterTtl, InDoubt
from onceproxy.core.receipts import Action, Claim, Receipt, RequestId, Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Resolution, Settled, Settlement
from onceproxy.store import claims, operator, reading, resolutions, retention, settlements
from onceproxy.store.connection import Connections
from onceproxy.store.embedded import EmbeddedServer
from stores import TEMPLATE, a_response, an_action, completed, in_doubt, on_server, released, url_of

SETTLE = 100.0
WINDOW = 1_000.0
TTL = 5_000.0
TOMBSTONE = 20_000.0

EXAMPLES, STEPS = 100, 40

NAMES = ("pay", "pay", "pay", "refund", "order")
KINDS: dict[OutcomeKind, Settlement] = {
    OutcomeKind.COMPLETED: completed(),
    OutcomeKind.RELEASED: released(),
    OutcomeKind.IN_DOUBT: in_doubt(),
}
T = TypeVar("T")
names = st.sampled_from(NAMES)
instances = st.integers(0, 1)
actions = st.builds(
    lambda name, print_, credential, policy, after: an_action(
        name,
        fingerprint=print_ * 32,
        credential=credential,
        in_doubt=policy,
        upstream_window=WINDOW,
        after_ttl=after,
        ttl=TTL,
        tombstone=TOMBSTONE,
    ),
    names,
    st.sampled_from((b"a", b"a", b"a", b"b")),
    st.sampled_from((b"", b"", b"", b"other")),
    st.sampled_from((InDoubt.REFUSE, InDoubt.RESEND, InDoubt.EXECUTE)),
    st.sampled_from(AfterTtl),
)
# Of different receipts: which of two of the same comes first is not told.
together = st.lists(
    st.tuples(actions, instances), min_size=2, max_size=3, unique_by=lambda one: one[0].request_id
)


class Both(RuleBasedStateMachine):
    """Does everything to both, and compares. The database's clock is turned by ageing what it holds."""

    runner: asyncio.Runner
    connections: Connections
    database: asyncpg.Connection

    def __init__(self) -> None:
        super().__init__()
        self.model = ModelStore()
        self.claims: list[tuple[Claim, Action]] = []
        self.tokens = 0
        self.new_claims = claims.NewClaims(self.connections)
        self.endings = settlements.endings(self.connections)
        for table in ("receipts", "events", "instances", "outbox"):
            self.await_(self.database.execute(f"DELETE FROM {table}"))
        self.started = 0
        self.instances = [self._start() for _ in range(2)]

    def await_(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def _start(self) -> int:
        self.started += 1
        lease = timedelta(seconds=LEASE)
        self.await_(
            self.connections.run("begin_instance", _uuid(self.started), lease, "host", 1, "0", timeout=5)
        )
        self.model.leases[self.started] = self.model.now + LEASE
        return self.started

    @rule(which=instances)
    def an_instance_starts_anew(self, which: int) -> None:
        self.instances[which] = self._start()

    @rule(which=instances)
    def an_instance_ends(self, which: int) -> None:
        self.await_(self.connections.run("end_instance", _uuid(self.instances[which]), timeout=5))
        self.model.end(self.instances[which])

    @initialize(action=actions)
    def it_begins(self, action: Action) -> None:
        self.somebody_claims(action, 0)

    @rule(action=actions, which=instances)
    def somebody_claims(self, action: Action, which: int) -> None:
        self.tokens += 1
        self._claim(action, UUID(int=self.tokens), self.instances[which])

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def a_claim_is_repeated(self, data: st.DataObject) -> None:
        claim, action = data.draw(st.sampled_from(self.claims))
        row = self.model.rows.get(claim.request_id)
        if row is None or row.token != claim.token:
            return
        # It is only repeated before anybody uses it; by then it may have been lost with its instance.
        if row.state is State.CLAIMED or not self.model.live(row.instance):
            self._claim(action, claim.token, row.instance)

    @rule(asked=together)
    def many_claim_at_once(self, asked: list[tuple[Action, int]]) -> None:
        work, expected = [], []
        for action, which in asked:
            self.tokens += 1
            token, instance = UUID(int=self.tokens), self.instances[which]
            expected.append(self.model.claim(action, token, instance))
            work.append(self._ask(action, token, instance, self.new_claims))
        found = self.await_(_all(work))
        for (action, _), one, other in zip(asked, found, expected, strict=True):
            self._compare(action, one, other)

    def _claim(self, action: Action, token: UUID, instance: int) -> None:
        expected = self.model.claim(action, token, instance)
        self._compare(action, self.await_(self._ask(action, token, instance)), expected)

    async def _ask(
        self, action: Action, token: UUID, instance: int, new: claims.NewClaims | None = None
    ) -> Claim | Receipt | None:
        try:
            wish = claims.Asked(action, token, _uuid(instance))
            tried = await claims.try_new(new, wish, 60.0) if new is not None else None
            return await claims.claim(self.connections, action, token, _uuid(instance), tried)
        except claims.InstanceNotLive:
            return None

    def _compare(
        self, action: Action, found: Claim | Receipt | None, expected: Claim | Receipt | None
    ) -> None:
        assert type(found) is type(expected)
        if isinstance(found, Claim) and isinstance(expected, Claim):
            assert (found.attempt, found.doubtful) == (expected.attempt, expected.doubtful)
            assert found.resend_left == expected.resend_left or (
                abs(found.resend_left - expected.resend_left) < CLOSE
            )
            self.claims.append((found, action))
        elif isinstance(found, Receipt) and isinstance(expected, Receipt):
            same_receipt(found, expected)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), kind=st.sampled_from(OutcomeKind))
    def an_attempt_settles(self, data: st.DataObject, kind: OutcomeKind) -> None:
        claim, _ = data.draw(st.sampled_from(self.claims))
        settlement = KINDS[kind]
        expected = self.model.settle(claim, kind, settlement.attempt.response)

        found = self.await_(settlements.settle(self.connections, claim, settlement, _uuid(1)))

        assert found is expected

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def many_attempts_settle_at_once(self, data: st.DataObject) -> None:
        one = st.tuples(st.sampled_from(self.claims), st.sampled_from(OutcomeKind))
        ended = data.draw(st.lists(one, min_size=1, max_size=3, unique_by=lambda one: one[0][0].request_id))
        work, expected = [], []
        for (claim, _), kind in ended:
            settlement = KINDS[kind]
            expected.append(self.model.settle(claim, kind, settlement.attempt.response))
            work.append(self._end(claim, settlement))

        assert self.await_(_all(work)) == expected

    async def _end(self, claim: Claim, settlement: Settlement) -> Settled:
        if await settlements.settle_standing(self.endings, claim, settlement):
            return Settled.STORED
        return await settlements.settle(self.connections, claim, settlement, _uuid(1))

    @rule(name=names)
    def somebody_reads(self, name: str) -> None:
        expected = self.model.read(an_action(name).request_id)
        seen = self.await_(reading.look(self.connections, an_action(name).request_id))
        assert (seen is None) == (expected is None)
        if seen is not None and expected is not None:
            same_receipt(seen.receipt, expected)

    @precondition(lambda self: self._doubtful())
    @rule(
        data=st.data(),
        other=st.sampled_from((0, 0, -1, 1)),
        happened=st.booleans(),
        settle=st.sampled_from((0.0, SETTLE)),
        source=st.sampled_from((Source.PROBE, Source.OPERATOR)),
    )
    def somebody_resolves(
        self, data: st.DataObject, other: int, happened: bool, settle: float, source: Source
    ) -> None:
        request_id = data.draw(st.sampled_from(self._doubtful()))
        attempt = self.model.rows[request_id].attempt + other
        response = a_response(200, b"found") if happened else None
        expected = self.model.resolve(request_id, attempt, response, source, settle)
        resolution = Resolution(happened, source, "a note", response, settle=settle)
        assert self.await_(resolutions.resolve(self.connections, request_id, attempt, resolution)) is expected

    @precondition(lambda self: self.model.rows)
    @rule(name=names)
    def somebody_purges(self, name: str) -> None:
        request_id = an_action(name).request_id
        expected = self.model.purge(request_id)
        try:
            self.await_(operator.purge(self.connections, request_id, "a note"))
            found = True
        except operator.NotPossible:
            found = False
        assert found is expected

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def a_claim_is_given_back(self, data: st.DataObject) -> None:
        claim, _ = data.draw(st.sampled_from(self.claims))
        self.model.abandon(claim.request_id, claim.token)
        event = UUID(int=claim.token.int + 10**12)
        self.await_(self.connections.run("abandon", claim.request_id.digest, claim.token, event, timeout=5))

    @precondition(lambda self: self.model.rows)
    @rule()
    def what_is_due_goes(self) -> None:
        self.model.collect()
        self.await_(retention.collect(self.connections))

    @precondition(lambda self: self.model.rows)
    @rule(seconds=st.sampled_from((30.0, 200.0, 1_500.0, 6_000.0, 25_000.0)))
    def time_passes(self, seconds: float) -> None:
        # Not to where the time that the test itself takes would decide.
        while any(abs(at - self.model.now - seconds) < CLOSE for at in self._turning_points()):
            seconds += 2 * CLOSE
        self.model.now += seconds
        ago = timedelta(seconds=seconds)
        for statement in (
            """UPDATE receipts SET changed_at = changed_at - $1::interval, created_at = created_at - $1,
                expires_at = expires_at - $1, forget_at = forget_at - $1""",
            "UPDATE instances SET lease_until = lease_until - $1::interval",
        ):
            self.await_(self.database.execute(statement, ago))

    def _doubtful(self) -> list[RequestId]:
        return [request_id for request_id, row in self.model.rows.items() if row.state is State.IN_DOUBT]

    def _turning_points(self) -> list[float]:
        points = list(self.model.leases.values())
        for row in self.model.rows.values():
            points += [row.created + WINDOW, row.changed + SETTLE, row.expires or 0.0, row.forget or 0.0]
        return points

    @invariant()
    def they_are_the_same(self) -> None:
        self.await_(same_tables(self.database, self.model))


async def _all(work: list[Coroutine[Any, Any, T]]) -> list[T]:
    return await asyncio.gather(*work)


def _uuid(number: int) -> UUID:
    return UUID(int=10**9 + number)


def test_the_store_does_what_the_model_does(postgres: EmbeddedServer) -> None:
    url = url_of(postgres.url, "differential")
    asyncio.run(
        on_server(
            postgres.url,
            f"CREATE DATABASE differential TEMPLATE {TEMPLATE}",
            # Nothing crashes here, and each of thousands of commits would wait for the disk.
            "ALTER DATABASE differential SET synchronous_commit = off",
        )
    )
    with asyncio.Runner() as runner:
        connections = runner.run(Connections.open(url, 2))
        database = runner.run(asyncpg.connect(url))
        shared = {"runner": runner, "connections": connections, "database": database}
        steps = settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
        )
        run_state_machine_as_test(type("Machine", (Both,), shared), settings=steps)
        runner.run(connections.close())
        runner.run(database.close())
    asyncio.run(on_server(postgres.url, "DROP DATABASE differential WITH (FORCE)"))
