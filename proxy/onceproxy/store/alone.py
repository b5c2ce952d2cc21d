"""What could not be claimed or settled together with others: alone, and with patience.

Nearly all go together at the first try (``claims.try_new``, ``settlements.settle_standing``). Here is what
meets a receipt or an outage. After an outage all come at once, and had better go together again.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from onceproxy.core.receipts import Claim, Receipt
from onceproxy.guard.ports import Settled, Settlement
from onceproxy.sealing.answers import opened_receipt
from onceproxy.sealing.keyring import Keyring
from onceproxy.store.claims import Asked, NewClaims, Tried, claim, try_new
from onceproxy.store.connection import Connections, Statements
from onceproxy.store.parts import Parts
from onceproxy.store.retrying import persist
from onceproxy.store.settlements import Endings, settle, settle_standing


async def claim_alone(
    connections: Statements,
    new: NewClaims,
    asked: Asked,
    tried: Tried | None,
    keyring: Keyring,
    patience: float,
) -> Claim | Receipt:
    """Claim what was ``tried`` with others and is not claimed yet, for ``patience`` seconds.

    Raises as ``claim``, and ``StoreUnavailable`` when the time is up.
    """
    tries = 0

    async def once() -> Claim | Receipt:
        nonlocal tries
        tries += 1
        met = tried if tries == 1 else await try_new(new, asked, patience)
        if met is not None:
            return await claim(connections, asked.action, asked.token, asked.instance, met)
        async with new.turns.of(asked.action.request_id.digest):
            return await claim(connections, asked.action, asked.token, asked.instance)

    found = await persist(once, patience)
    return found if isinstance(found, Claim) else opened_receipt(keyring, found)


async def settle_alone(
    connections: Connections,
    together: Endings | None,
    parts: Parts,
    claim: Claim,
    settlement: Settlement,
    instance: Callable[[], UUID],
    patience: float,
) -> Settled:
    """Settle what could not be settled with others, for ``patience`` seconds.

    ``together`` is None for what must not go with others again. Raises as ``settle``, and
    ``StoreUnavailable`` when the time is up.
    """
    tries = 0

    async def once() -> Settled:
        nonlocal tries
        tries += 1
        if tries > 1 and together is not None and await settle_standing(together, claim, settlement):
            return Settled.STORED
        await parts.write(claim, settlement)
        return await settle(connections, claim, settlement, instance())

    return await persist(once, patience, bounded=False)
