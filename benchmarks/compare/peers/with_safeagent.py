"""safeagent-exec-guard, in SQLite: its two-phase store."""

from effect import AMOUNT, FOLDER, KEY, LEASE, effect
from safeagent_exec_guard import SettlementRequestRegistry

registry = SettlementRequestRegistry(sqlite_path=f"{FOLDER}/safeagent.db", pending_ttl_seconds=LEASE)
print(
    registry.execute(
        request_id=KEY,
        action="charge",
        payload={"amount": AMOUNT},
        execute_fn=lambda payload: effect(payload["amount"]),
    )
)
