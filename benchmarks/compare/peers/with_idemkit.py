"""idemkit's decorator for functions, in Postgres."""

from effect import AMOUNT, KEY, LEASE, POSTGRES, effect
from idemkit import MethodConfig, PostgresBackend, idempotent_sync


@idempotent_sync(
    backend=PostgresBackend.from_url(POSTGRES),
    config=MethodConfig(key_fields=["order"], lease_ttl_seconds=LEASE, scope=lambda *a, **k: "all"),
)
def charge(*, order: str, amount: int) -> dict[str, int]:
    return effect(amount)


print(charge(order=KEY, amount=AMOUNT))
