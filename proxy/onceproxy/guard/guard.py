"""The guard: claim → execute once → store the receipt → answer; and for every later copy, the receipt.

What a copy gets is decided in ``core.decisions``; attempts are run in ``executions``, doubts are settled in
``probing``, and what is only watched goes through ``observing``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from onceproxy.core.decisions import (
    Ask,
    Claimable,
    Refuse,
    Replay,
    Resend,
    Wait,
    being_asked,
    decide,
    in_progress,
)
from onceproxy.core.limits import OverLimit
from onceproxy.core.messages import Request, Response
from onceproxy.core.policies import Duplicate, Mode
from onceproxy.core.problems import ProblemType
from onceproxy.core.receipts import Action, Receipt
from onceproxy.crashpoints import reach
from onceproxy.guard.answers import Answer, not_sent, refusal
from onceproxy.guard.executions import Executions
from onceproxy.guard.observing import Watcher
from onceproxy.guard.places import Granted, Places
from onceproxy.guard.ports import (
    Execute,
    Meter,
    NoMeter,
    NoSpool,
    Spool,
    Store,
    StoreUnavailable,
    TellInterim,
    Watch,
)
from onceproxy.guard.probing import Prober
from onceproxy.guard.replays import Replays
from onceproxy.guard.sharing import SharedReads, Turns
from onceproxy.guard.waiters import Waiters

log = structlog.get_logger("onceproxy.guard")


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How patient the guard is, whatever the route.

    ``receipt_body``: bytes of a response's body that a receipt keeps. ``store_patience``: seconds a client
    waits for its receipt to be stored before it is told that this goes on without it.

    ``executions``: attempts under way at once, of which one user may have ``executions_per_user``.
    ``queue``: requests that wait for one to end, ``queue_timeout`` seconds at most. ``waiters``: copies that
    wait for the one at work, in all; of one action ``waiters_per_action``.
    """

    receipt_body: int = 16 * 1024 * 1024
    store_patience: float = 30.0
    executions: int = 512
    executions_per_user: int = 256
    queue: int = 512
    queue_timeout: float = 30.0
    waiters: int = 512
    waiters_per_action: int = 128


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
        self._places = Places(
            limits.executions, limits.queue, limits.executions_per_user, limits.queue_timeout
        )
        self._waiters = Waiters(limits.waiters, limits.waiters_per_action, self._meter.limit_hit)
        self._watcher = Watcher(store, self._executions, self._places, self._meter)
        self._prober = Prober(store, execute, limit=limits.receipt_body, clock=clock)
        self._replays = Replays(store, self._executions, self._meter)
        self._reads = SharedReads(store)
        self._turns = Turns()
        self._copies: dict[bytes, int] = {}
        self._draining = False

    async def once(self, action: Action, request: Request, interim: TellInterim = None) -> Answer:
        """Answer one copy of ``action``: by sending ``request``, or from what is known of an earlier copy.

        ``interim`` is told the interim responses, if it is this copy that is sent.

        Never raises for what the store or the upstream do: the answer holds the problem.
        """
        if self._draining:
            return _shutting_down(action)
        try:
            if action.policy.mode is not Mode.ENFORCE:
                return await self._watcher.once(action, request, interim)
            if (known := self.at_once(action)) is not None:
                return known
            found = await self._claim_or_tell(action, request)
        except OverLimit as over:
            return self._no_room(action, over)
        except StoreUnavailable as error:
            return not_sent(
                action,
                ProblemType.STORE_UNAVAILABLE,
                f"The database of receipts can't be used now ({error}). Nothing was sent for this copy. "
                "Retry later: it is safe.",
            )
        if isinstance(found, Granted):
            if found.claim.like is not None:
                self._meter.looks_repeated(action.route)
                log.warning(
                    "looks-repeated",
                    request_id=str(action.request_id),
                    earlier=str(found.claim.like),
                    route=action.route,
                )
            return await self._executions.run(action, found, request, interim)
        return found

    def at_once(self, action: Action, sound: Response | None = None) -> Answer | None:
        """Answer a copy from memory alone, if that can be done; None: ``once`` has to be asked.

        ``sound``: a response that was replayed before.
        """
        if self._draining or action.policy.mode is not Mode.ENFORCE:
            return None
        receipt = self._store.at_hand(action)
        if receipt is None or not isinstance(decision := decide(action, receipt), Replay):
            return None
        return self._replays.at_once(action, decision, sound)

    def remembers(self, action: Action) -> bool:
        """Whether a receipt of the action is in memory, so that ``at_once`` may know the answer."""
        return self._store.at_hand(action) is not None

    async def stop(self, grace: float) -> None:
        """Take no more claims, let executions end within ``grace`` seconds, then put the rest in doubt."""
        self._draining = True
        self._places.close()
        self._replays.hurry()
        await self._prober.stop()
        await self._executions.stop(grace)

    def hurry(self) -> None:
        """Give up a grace that ``stop`` has granted: what is in flight is put in doubt at once."""
        self._executions.hurry()

    def _no_room(self, action: Action, over: OverLimit) -> Answer:
        if self._draining:
            return _shutting_down(action)
        self._meter.limit_hit(over.limit)
        return not_sent(action, ProblemType.OVERLOADED, str(over), (("limit", over.limit.value),))

    async def _claim_or_tell(self, action: Action, request: Request) -> Granted | Answer:
        """Claim the action, or answer its copy from what is known."""
        copies, digest = self._copies, action.request_id.digest
        others = copies.get(digest, 0)
        copies[digest] = others + 1
        try:
            # Beside another copy a claim would most likely be in vain; and a look can be shared.
            met = await (self._reads.read(action.request_id) if others else self._claim(action))
            return met if isinstance(met, Granted) else await self._beside(action, request, met)
        finally:
            if left := copies.pop(digest) - 1:
                copies[digest] = left

    async def _claim(self, action: Action) -> Granted | Receipt:
        """Claim the action for a place that it has by then, or return the receipt that stands in the way.

        Raises:
            OverLimit: there is no place.
            StoreUnavailable: nothing can be claimed.
        """
        if self._draining:
            raise StoreUnavailable("the proxy is shutting down")
        if self._executions.overflows:
            known = await self._known(action)
            if known is None:
                raise StoreUnavailable(
                    "it does not take the receipts of earlier requests, and the spool is full"
                )
            return known
        place = self._places.take_free(action.user)
        if place is None:
            if (known := await self._known(action)) is not None:
                return known
            place = await self._places.take(action.user)
        granted = None
        try:
            reach("before-claim")
            found = await self._store.claim(action)
            if isinstance(found, Receipt):
                return found
            granted = Granted(found, place)
        finally:
            if granted is None:
                place.give_back()
        reach("after-claim")
        return granted

    async def _known(self, action: Action) -> Receipt | None:
        """Return the receipt of a copy that needs no claim and so no place; None: it needs one."""
        known = await self._store.read(action.request_id)
        return None if known is None or isinstance(decide(action, known), Claimable | Resend) else known

    async def _beside(self, action: Action, request: Request, receipt: Receipt | None) -> Granted | Answer:
        """Answer a copy that came beside others: at once, or when the receipt has changed."""
        policy = action.policy
        deadline = self._clock() + (policy.wait if policy.duplicate is Duplicate.WAIT else 0)
        decision = decide(action, receipt)
        if isinstance(decision, Replay | Refuse):
            return await self._told(action, decision)
        with (
            self._store.watch(action.request_id) as watch,
            self._waiters.one(action.request_id, action.user) as waits,
        ):
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
                                if isinstance(found, Granted):
                                    return found
                                met = found
                    case Ask(receipt=doubtful):
                        if not waits():
                            return refusal(being_asked(action, doubtful))
                        refused = await self._prober.ask(action, request, doubtful, deadline - self._clock())
                        if refused is not None:
                            return refusal(refused)
                    case Wait(receipt=claimed):
                        if deadline <= self._clock() or not waits():
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
            return self._replays.refused(action, decision)
        return await self._replays.answer(action, decision)


def _shutting_down(action: Action) -> Answer:
    return not_sent(
        action,
        ProblemType.SHUTTING_DOWN,
        "The proxy is shutting down. Nothing was sent for this copy. Retry later: it is safe.",
    )
