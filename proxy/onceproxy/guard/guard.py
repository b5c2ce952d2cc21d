"""The guard: claim → execute once → store the receipt → answer; and for every later copy, the receipt.

What a copy gets is decided in ``core.decisions``; attempts are run in ``executions``, doubts are settled in
``probing``, and what is only watched goes through ``observing``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from onceproxy.core.decisions import Ask, Claimable, Refuse, Replay, Resend, Wait, decide, in_progress
from onceproxy.core.messages import Request
from onceproxy.core.policies import Duplicate, Mode
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action, Claim, Receipt, RequestId
from onceproxy.crashpoints import reach
from onceproxy.guard.answers import Answer, not_sent, refusal
from onceproxy.guard.executions import Executions
from onceproxy.guard.observing import Watcher
from onceproxy.guard.ports import Execute, Meter, NoMeter, NoSpool, Spool, Store, StoreUnavailable, Watch
from onceproxy.guard.probing import Prober
from onceproxy.guard.replays import Replays
from onceproxy.guard.sharing import SharedReads, Turns

log = structlog.get_logger("onceproxy.guard")


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How patient the guard is, whatever the route.

    ``receipt_body``: bytes of a response's body that a receipt keeps. ``store_patience``: seconds a client
    waits for its receipt to be stored before it is told that this goes on without it.
    """

    receipt_body: int = 16 * 1024 * 1024
    store_patience: float = 30.0


class Guard:
    """Makes each action happen once, over a store and a way to execute."""

    def __init__(
        self,
        store: Store,
        execute: Execute,
        limits: GuardLimits | None = None,
        *,
        spool: Spool | None = None,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = limits or GuardLimits()
        self._store = store
        self._execute = execute
        self._meter = meter or NoMeter()
        self._clock = clock
        self._executions = Executions(
            store,
            execute,
            spool or NoSpool(),
            self._meter,
            receipt_body=limits.receipt_body,
            patience=limits.store_patience,
        )
        self._watcher = Watcher(store, self._executions, self._meter)
        self._prober = Prober(store, execute, limit=limits.receipt_body, clock=clock)
        self._replays = Replays(store, self._executions)
        self._reads = SharedReads(store)
        self._turns = Turns()
        self._copies: Counter[RequestId] = Counter()
        self._draining = False

    async def once(self, action: Action, request: Request) -> Answer:
        """Answer one copy of ``action``: by sending ``request``, or from what is known of an earlier copy.

        Never raises for what the store or the upstream do: the answer holds the problem.
        """
        if self._draining:
            return not_sent(
                action,
                ProblemType.SHUTTING_DOWN,
                "The proxy is shutting down. Nothing was sent for this copy. Retry later: it is safe.",
            )
        if action.policy.mode is not Mode.ENFORCE:
            return await self._watcher.once(action, request)
        try:
            found = await self._claim_or_tell(action, request)
        except StoreUnavailable as error:
            return not_sent(
                action,
                ProblemType.STORE_UNAVAILABLE,
                f"The database of receipts can't be used now ({error}). Nothing was sent for this copy. "
                "Retry later: it is safe.",
            )
        if isinstance(found, Claim):
            if found.like is not None:
                self._meter.looks_repeated(action.route)
                log.warning(
                    "looks-repeated",
                    request_id=str(action.request_id),
                    earlier=str(found.like),
                    route=action.route,
                )
            return await self._executions.run(action, found, request)
        return found

    async def stop(self, grace: float) -> None:
        """Take no more claims, let executions end within ``grace`` seconds, then put the rest in doubt."""
        self._draining = True
        await self._prober.stop()
        await self._executions.stop(grace)

    def hurry(self) -> None:
        """Give up a grace that ``stop`` has granted: what is in flight is put in doubt at once."""
        self._executions.hurry()

    async def _claim_or_tell(self, action: Action, request: Request) -> Claim | Answer:
        """Claim the action, or answer its copy from what is known."""
        alone = self._copies[action.request_id] == 0
        self._copies[action.request_id] += 1
        try:
            # Beside another copy a claim would most likely be in vain; and a look can be shared.
            met = await (self._claim(action) if alone else self._reads.read(action.request_id))
            return met if isinstance(met, Claim) else await self._beside(action, request, met)
        finally:
            self._copies[action.request_id] -= 1
            if not self._copies[action.request_id]:
                del self._copies[action.request_id]

    async def _claim(self, action: Action) -> Claim | Receipt:
        if self._draining:
            raise StoreUnavailable("the proxy is shutting down")
        if self._executions.overflows:
            return await self._known(action)
        reach("before-claim")
        found = await self._store.claim(action)
        if isinstance(found, Claim):
            reach("after-claim")
        return found

    async def _known(self, action: Action) -> Receipt:
        """Return the receipt of a copy that needs no claim: there is no place for one more."""
        known = await self._store.read(action.request_id)
        if known is None or isinstance(decide(action, known), Claimable | Resend):
            raise StoreUnavailable("it does not take the receipts of earlier requests, and the spool is full")
        return known

    async def _beside(self, action: Action, request: Request, receipt: Receipt | None) -> Claim | Answer:
        """Answer a copy that came beside others: at once, or when the receipt has changed."""
        policy = action.policy
        deadline = self._clock() + (policy.wait if policy.duplicate is Duplicate.WAIT else 0)
        decision = decide(action, receipt)
        if isinstance(decision, Replay | Refuse):
            return await self._told(action, decision)
        with self._store.watch(action.request_id) as watch:
            fresh = False  # what was read before the watch began may have changed unseen
            while True:
                met: Receipt | None = None
                match decision:
                    case Replay() | Refuse():
                        return await self._told(action, decision)
                    case Claimable() | Resend():
                        async with self._turns.take(action.request_id) as mine:
                            if mine:
                                found = await self._claim(action)
                                if isinstance(found, Claim):
                                    return found
                                met = found
                    case Ask(receipt=doubtful):
                        refused = await self._prober.ask(action, request, doubtful, deadline - self._clock())
                        if refused is not None:
                            return refusal(refused)
                    case Wait(receipt=claimed):
                        if deadline <= self._clock():
                            return refusal(in_progress(action, claimed))
                        if fresh:
                            await self._news(watch, claimed, deadline)
                decision = decide(action, met or await self._reads.read(action.request_id))
                fresh = True

    async def _news(self, watch: Watch, receipt: Receipt, deadline: float) -> None:
        # An owner that dies sends no news: look again when its lease would have run out.
        await watch.news(max(0.0, min(deadline - self._clock(), receipt.lease_left + 0.1)))

    async def _told(self, action: Action, decision: Replay | Refuse) -> Answer:
        if isinstance(decision, Refuse):
            return refusal(decision)
        return await self._replays.answer(action, decision)
