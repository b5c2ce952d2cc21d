"""Settlements that wait to be stored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from onceproxy.core.receipts import Claim, RequestId
from onceproxy.guard.ports import Settlement, Unstored

DATABASE = b"d" * 16


def a_claim(number: int = 1, **changes: Any) -> Claim:
    """A claim whose token is made from ``number``."""
    values: dict[str, Any] = {"attempt": 1, "doubtful": False}
    return Claim(RequestId(bytes([number]) * 32), UUID(int=number), **{**values, **changes})


def waiting(settlement: Settlement, number: int = 1) -> Unstored:
    """A settlement on its way into the store."""
    return Unstored(a_claim(number), settlement, "charges")
