"""What every instance does from time to time: claims of the dead are put in doubt, what has expired goes."""

from __future__ import annotations

import logging

from onceproxy.store import outbox, retention, sweeping
from onceproxy.store.connection import Connections
from onceproxy.store.periodic import Periodic

log = logging.getLogger(__name__)


def chores(connections: Connections) -> tuple[Periodic, ...]:
    """Return the chores of an instance; they are not started yet."""
    memory = retention.Memory()

    async def sweep() -> None:
        if lost := await sweeping.sweep(connections):
            log.warning("put %d claims of dead proxies in doubt", lost)

    async def collect() -> None:
        log.info("removed what has expired: %s", await retention.collect(connections, memory=memory))
        await sweeping.forget_instances(connections)
        await outbox.forget_notices(connections)

    return (
        Periodic("putting claims of dead proxies in doubt", sweep, sweeping.EVERY),
        Periodic("removing what has expired", collect, retention.EVERY),
    )
