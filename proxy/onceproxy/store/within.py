"""Claims and settlements in a transaction of a caller's: they are durable when that is, or never were."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

from onceproxy.core.receipts import Action, Claim, Receipt
from onceproxy.guard.ports import Settled, Settlement
from onceproxy.sealing.answers import opened_receipt, sealed_settlement
from onceproxy.store.borrowed import Borrowed, NotInTransaction, borrow, is_undefined_table
from onceproxy.store.claims import InstanceNotLive, claim
from onceproxy.store.postgres import PostgresStore
from onceproxy.store.rows import PART
from onceproxy.store.settlements import settle

LARGEST = PART
"""Bytes of a body that are kept. A larger one would go into parts, whose writing turns off the wait for the
disk for the rest of a transaction: in the caller's, that is not ours to do."""


class Within:
    """The receipts of a store, in one transaction of a caller's."""

    def __init__(self, store: PostgresStore, borrowed: Borrowed) -> None:
        self._store = store
        self._borrowed = borrowed
        self._instance = store.instance

    @classmethod
    async def of(cls, store: PostgresStore, connection: Any) -> Within:
        """Return them for the transaction that ``connection`` is in.

        Raises:
            NotInTransaction: it is in none, or of an unknown kind.
        """
        return cls(store, await borrow(connection))

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """Give a part of the transaction that is rolled back alone if it raises."""
        return self._borrowed.savepoint()

    async def claim(self, action: Action) -> Claim | Receipt:
        """Claim an action, or return the receipt that stands in the way.

        Where another transaction is at the same action, this waits in the database until that has ended.

        Raises:
            NotInTransaction: the connection leads to another database.
            StoreUnavailable: this instance's lease ran out.
            Exception: what the driver raises.
        """
        self._instance = self._store.instance
        async with self._of_this_database():
            found = await claim(self._borrowed, action, uuid4(), self._instance)
        return found if isinstance(found, Claim) else opened_receipt(self._store.keyring, found)

    async def settle(self, claim: Claim, settlement: Settlement) -> Settled:
        """Write the end of an attempt. Raises what the driver raises."""
        sealed = sealed_settlement(self._store.keyring, claim, settlement)
        return await settle(self._borrowed, claim, sealed, self._instance)

    @asynccontextmanager
    async def _of_this_database(self) -> AsyncIterator[None]:
        try:
            yield
        except InstanceNotLive as error:
            if not self._store.may_send():
                raise
            # What the store's own connections see of this instance, this one does not.
            raise NotInTransaction(
                "the connection leads to another database than the guard's, or its transaction sees the "
                "state of some time ago: begin a new one, or use READ COMMITTED"
            ) from error
        except Exception as error:
            if not is_undefined_table(error):
                raise
            raise NotInTransaction(
                "the connection does not see the tables of receipts: it leads to another database, or its "
                "search_path to another schema"
            ) from error
