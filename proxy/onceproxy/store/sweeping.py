"""What dead instances leave behind: their claims are put in doubt although nobody asks for them.

Copies need no sweeper: whoever meets an orphaned claim puts it in doubt. This is for people, who look at
lists and numbers, and for actions that no copy ever asks for again.
"""

from __future__ import annotations

from datetime import timedelta

from onceproxy.store.connection import Connections

EVERY = 10.0  # seconds between two looks: one small table, unless somebody died
# An instance is swept this long after its death: a claim that it asked for while it lived may be committed
# as late as a statement may take, and would be missed by an earlier look.
QUIET = timedelta(seconds=10)
REMEMBERED = timedelta(days=30)  # how long the audit trail's instances can be told apart by host and pid
TRY = 120.0  # seconds for one statement, which reads all receipts


async def sweep(connections: Connections, quiet: timedelta = QUIET) -> int:
    """Put the claims of all dead instances in doubt; return how many they were. May run beside anything.

    ``quiet``: for how long they must have been dead. Raises what asyncpg raises.
    """
    row = await connections.run("find_dead", quiet, timeout=TRY)
    assert row is not None
    lost = 0
    for instance in row["dead"]:
        swept = await connections.run("sweep_instance", instance, quiet, timeout=TRY)
        assert swept is not None
        lost += swept["lost"]
    return lost


async def forget_instances(connections: Connections, after: timedelta = REMEMBERED) -> int:
    """Remove what is known of instances that died so long ago; return how many they were."""
    row = await connections.run("forget_instances", after, timeout=TRY)
    assert row is not None
    return int(row["removed"])
