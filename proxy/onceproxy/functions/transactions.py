"""Calls whose effect is in the database of the receipts: claim, effect and completion in one transaction.

The transaction is the caller's. Until it is committed nobody sees the claim, and a copy waits for it in the
database; when it is, effect and receipt are there; when it is rolled back, neither is. So nothing is ever in
doubt, and that is exactly once, which no other way can give: elsewhere the effect and the receipt are two
commits, and a crash can come between them.
"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Generic, TypeVar

from onceproxy.core.attempts import Attempt
from onceproxy.core.decisions import Refuse, Replay, damaged, decide, in_progress, unreadable
from onceproxy.core.hygiene import replayable
from onceproxy.core.limits import OverLimit
from onceproxy.core.messages import Body, BodyApart
from onceproxy.core.outcomes import classify
from onceproxy.core.receipts import Claim, Receipt, RequestId
from onceproxy.functions.background import Wait as Waiting
from onceproxy.functions.current import CurrentCall
from onceproxy.functions.errors import NoTransaction, StoreUnavailable
from onceproxy.functions.lifetimes import Home
from onceproxy.functions.opening import Opened
from onceproxy.functions.raising import Meaning
from onceproxy.functions.reports import raised, returned
from onceproxy.functions.telling import error_of, result_of
from onceproxy.functions.turns import Asked
from onceproxy.functions.ways import Ways
from onceproxy.guard.answers import refusal, replayed
from onceproxy.guard.ports import Settled, Unreadable
from onceproxy.guard.ports import StoreUnavailable as Unavailable
from onceproxy.guard.settling import settlement_of
from onceproxy.store.borrowed import NotInTransaction
from onceproxy.store.within import LARGEST, Within

T = TypeVar("T")


class Transaction(Ways):
    """The ways to guard a call whose effect is in the caller's transaction; made by ``guard.transaction``.

    To be used while the transaction is open, by one task or thread at a time as the connection itself.
    """

    def __init__(self, home: Home, connection: Any) -> None:
        self.home = home
        self._connection = connection

    def turn(self, asked: Asked[T], wait: Waiting) -> TransactionTurn[T]:
        """Return the turn of one copy of a call."""
        return TransactionTurn(self.home.lifetime.opened(), asked, wait, self._connection)


class TransactionTurn(Generic[T]):
    """The turn of one copy, as ``Turn``. All that it does is in the caller's transaction.

    Around the claim and the completion is a savepoint, so that a caller who goes on after an exception does
    not commit a claim that nobody completes; around the effect is another one, so that a final answer is
    stored without the effect.
    """

    unsaid = "its block is rolled back, and so nothing happened"

    def __init__(self, opening: Future[Opened], asked: Asked[T], wait: Waiting, connection: Any) -> None:
        self._opening = opening
        self._asked = asked
        self._wait = wait
        self._connection = connection
        self._whole = AsyncExitStack()
        self._effect = AsyncExitStack()
        self._opened: Opened
        self._within: Within
        self._claim: Claim
        self.fresh = False
        self.attempt = 0
        self.result: T

    @property
    def request_id(self) -> RequestId:
        """The identity of the call."""
        return self._asked.action.request_id

    @property
    def current(self) -> CurrentCall:
        """The call, for the code that makes it."""
        return CurrentCall(self._asked.name, self.request_id, self.attempt)

    async def begin(self) -> None:
        """Find out whether this copy is to run; if not, ``result`` is the stored one.

        Raises:
            NoTransaction: there is no transaction of the receipts' database.
            OnceError: there is no result.
            BaseException: what the driver raises, or a final exception of an earlier copy.
        """
        self._opened = await self._wait(self._opening)
        try:
            self._within = await Within.of(self._opened.store, self._connection)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._within.savepoint())
                found = await self._within.claim(self._asked.action)
                if isinstance(found, Claim):
                    self._claim, self.fresh, self.attempt = found, True, found.attempt
                    await self._effect.enter_async_context(self._within.savepoint())
                    self._whole = stack.pop_all()
                    return
        except NotInTransaction as error:
            raise NoTransaction(f"{self._asked.name}: {error}. Nothing was called.", **self._about) from error
        except Unavailable as error:
            raise self._away(error) from error
        self.attempt = found.attempt
        self.result = await self._told(found)

    async def succeeded(self, value: T) -> T:
        """Complete with ``value``, and return it. It is durable when the caller commits."""
        await self._effect.aclose()
        await self._settle(returned(self._asked.name, value, self._asked.codec))
        return value

    async def failed(self, error: BaseException) -> None:
        """Take the effect back; a final exception is stored, after any other one nothing was."""
        await _thrown(self._effect, error)
        if self._asked.declared.meaning(error) is Meaning.FINAL:
            await self._settle(raised(self._asked.name, error, Meaning.FINAL))
        else:
            await _thrown(self._whole, error)

    async def left_unsaid(self, fault: BaseException) -> None:
        """Take the effect back, as nobody said what came of it."""
        await self.failed(fault)

    def leave(self) -> None:
        """Do nothing: what is not completed is rolled back."""

    @property
    def _about(self) -> dict[str, Any]:
        return {"name": self._asked.name, "request_id": str(self.request_id)}

    async def _settle(self, attempt: Attempt) -> None:
        limit = min(self._opened.receipt_body, LARGEST)
        action = self._asked.action
        settlement = settlement_of(attempt, classify(attempt, action.policy.outcomes), action, limit)
        async with self._whole.pop_all():
            settled = await self._within.settle(self._claim, settlement)
            if settled is not Settled.STORED:
                raise NoTransaction(
                    f"{self._asked.name}: the claim is gone from the transaction. It is rolled back.",
                    **self._about,
                )

    async def _told(self, receipt: Receipt) -> T:
        """Return the result that a receipt holds, or raise what it says."""
        asked = self._asked
        match decide(asked.action, receipt):
            case Replay(response=response) if replayable(response, asked.action.method):
                if isinstance(response.body, BodyApart):
                    response = replace(response, body=await self._loaded(receipt))
                return result_of(asked.name, replayed(receipt, response), asked.codec, asked.declared)
            case Refuse() as refused:
                raise error_of(asked.name, refusal(refused), receipt)
            case _:
                # Claimed, and not in a transaction, or it would not be seen. To wait for that here would
                # hold the caller's locks.
                raise error_of(asked.name, refusal(in_progress(asked.action, receipt)))

    async def _loaded(self, receipt: Receipt) -> Body:
        """Return a large body, which only a call outside of transactions can have stored."""
        action = self._asked.action
        try:
            body = await self._wait(self._opened.background.run(self._opened.store.load(receipt)))
        except Unreadable as error:
            raise error_of(self._asked.name, refusal(unreadable(action, receipt, str(error)))) from error
        except (Unavailable, OverLimit) as error:
            raise self._away(error) from error
        if body is None:
            raise error_of(self._asked.name, refusal(damaged(action, receipt)))
        return body

    def _away(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._asked.name}: the receipts can't be used now ({error}). Nothing was called. Calling it "
            "again later is safe.",
            **self._about,
        )


async def _thrown(stack: AsyncExitStack, error: BaseException) -> None:
    """Leave ``stack`` as an exception does, which the caller raises."""
    await stack.__aexit__(type(error), error, error.__traceback__)
