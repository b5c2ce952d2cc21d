"""Settling a doubt by asking the upstream: the part that waits, asks again and stores the verdict."""

from __future__ import annotations

from onceproxy.core.decisions import Refuse, doubt
from onceproxy.core.messages import Request
from onceproxy.core.receipts import Action, Receipt
from onceproxy.guard.ports import Execute, Store


class Prober:
    """Asks at most one question at a time about an action, however many copies wait for the answer."""

    def __init__(self, store: Store, execute: Execute) -> None:
        self._store = store
        self._execute = execute

    async def ask(self, action: Action, request: Request, receipt: Receipt, patience: float) -> Refuse | None:
        """Settle the doubt about ``receipt``; None: it is settled, and the receipt says how.

        ``patience``: seconds that this copy waits for the verdict.
        """
        return doubt(action, receipt)

    async def stop(self) -> None:
        """Ask no more."""
