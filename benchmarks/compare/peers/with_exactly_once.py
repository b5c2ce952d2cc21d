"""exactly-once, in Postgres, with the policy that it has by default."""

from effect import AMOUNT, KEY, LEASE, POSTGRES, effect
from exactly_once import Store, once

store = Store.postgres(POSTGRES)


@once(store, key=lambda order, amount: order, lease_ttl=LEASE)
def charge(order: str, amount: int) -> dict[str, int]:
    return effect(amount)


print(charge(KEY, AMOUNT))
