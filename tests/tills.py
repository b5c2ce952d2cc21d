"""A function with a side effect that is counted, and that ends as a test wants."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any


@dataclass
class Charge:
    """What a call returns."""

    id: str
    amount: int


class Declined(Exception):
    """A final answer."""


class Till:
    """Counts what was done, and does as it is told: ``next`` is raised or returned."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.next: Any = "done"

    def act(self, order: str, amount: int = 1) -> Any:
        """Do it."""
        self.calls.append((order, amount))
        if isinstance(self.next, BaseException):
            raise self.next
        return self.next

    async def act_later(self, order: str, amount: int = 1) -> Any:
        """Do it."""
        await asyncio.sleep(0)
        return self.act(order, amount)
