"""This process's life as an instance: a row in the database, a lease on it, and a heartbeat that renews it.

The lease is what lets others conclude that we are dead, so we must conclude it first. The local deadline is
counted from before a renewal was asked for, on a clock that runs while the machine sleeps; the database
counts from when it wrote the row, which is later. A lease that was lost is never picked up again: others may
have put our claims in doubt. We come back as a new instance, and what was claimed before may not be sent any
more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from onceproxy.guard.ports import StoreUnavailable
from onceproxy.store.connection import Connections
from onceproxy.store.errors import DATABASE_ERRORS, DataDirUnusable, is_outage
from onceproxy.store.lockfiles import InstanceLock, dead_instances, forget
from onceproxy.store.retrying import pauses
from onceproxy.store.tokens import new_uuid
from onceproxy.version import __version__

log = logging.getLogger(__name__)

MARGIN = 0.1  # of the lease: we stop that much earlier than the database does
LONGEST_MARGIN = 1.0  # seconds; clocks that tick differently by more than 5 % are not clocks

_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boottime() -> float:
    """Seconds on a clock that no one can set and that runs through a suspension, where the system has one."""
    return time.clock_gettime(_CLOCK)


class Lease:
    """The instance that this process is at the moment, and whether it may act as such."""

    def __init__(
        self,
        connections: Connections,
        *,
        lease: float,
        heartbeat: float,
        data_dir: Path | None,
        clock: Callable[[], float] = boottime,
        begun: Callable[[], None] | None = None,
    ) -> None:
        """``lease`` and ``heartbeat`` are seconds; ``clock`` must not stop while the machine is suspended.

        ``begun`` is told whenever this process has become an instance.
        """
        self._connections = connections
        self._lease = lease
        self._heartbeat = heartbeat
        self._data_dir = data_dir
        self._clock = clock
        self._begun = begun
        self._deadline = float("-inf")
        self._lock: InstanceLock | None = None
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._claimed: dict[UUID, float] = {}
        self.instance = new_uuid()

    def runs(self) -> bool:
        """Say whether this instance still counts as alive, with a margin to spare."""
        return self._clock() < self._deadline

    def check(self) -> UUID:
        """Return the instance to claim for.

        Raises:
            StoreUnavailable: the lease has run out, and a new one has not been had yet.
        """
        if not self.runs():
            raise StoreUnavailable("this instance's lease ran out: the database was away for too long")
        return self.instance

    def distrust(self, instance: UUID) -> None:
        """Stop at once because the database holds that ``instance`` is dead, and ask it for a lease anew."""
        if instance == self.instance:
            self._deadline = float("-inf")
            self._hurry.set()

    def now(self) -> float:
        """Return the time of the clock that the lease goes by, in seconds."""
        return self._clock()

    def remember(self, token: UUID, instance: UUID, until: float = math.inf) -> None:
        """Note that ``token`` was claimed for ``instance``, which may have been lost in the meantime.

        ``until``: when the claim may no longer be sent, though the lease runs, by the clock of ``now``.
        """
        if instance == self.instance:
            self._claimed[token] = until

    def forget(self, token: UUID) -> None:
        """Drop a claim that was settled."""
        self._claimed.pop(token, None)

    def covers(self, token: UUID) -> bool:
        """Say whether a claim was made under the lease that runs now."""
        return self._clock() < min(self._deadline, self._claimed.get(token, -math.inf))

    async def begin(self) -> None:
        """Become an instance, tell the database which ones of this machine are dead, and keep the lease.

        Raises what asyncpg raises.
        """
        await self._register()
        await self.bury_the_dead()
        self._task = asyncio.create_task(self._beat())

    async def end(self) -> None:
        """Stop the heartbeat and hand over: our open claims are in doubt from now on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._deadline = float("-inf")
        try:
            await self._connections.run("end_instance", self.instance, timeout=self._try, reserved=True)
        except DATABASE_ERRORS as error:
            if not is_outage(error):
                raise
            log.warning("could not say goodbye to the database; the lease will run out: %s", error)
        if self._lock is not None:
            self._lock.drop()
            self._lock = None

    async def renew(self) -> None:
        """Renew the lease once, or become a new instance if the database holds that this one is dead.

        Raises what asyncpg raises.
        """
        asked = self._clock()
        row = await self._connections.run(
            "renew_lease", self.instance, timedelta(seconds=self._lease), timeout=self._try, reserved=True
        )
        assert row is not None
        if row["renewed"]:
            self._extend(asked)
            return
        dead = self.instance
        log.warning("the lease of instance %s was lost: going on as a new instance", dead)
        await self._register()
        # Its lease is over; this keeps it so should the database's clock be set back.
        await self._connections.run("end_instance", dead, timeout=self._try, reserved=True)

    async def bury_the_dead(self) -> None:
        """Tell the database which instances of this machine are dead. Raises what asyncpg raises."""
        if self._data_dir is None:
            return
        for instance in dead_instances(self._data_dir):
            await self._connections.run("end_instance", instance, timeout=self._try, reserved=True)
            forget(self._data_dir, instance)

    @property
    def _try(self) -> float:
        return max(0.5, min(5.0, self._lease / 4))

    def _extend(self, asked: float) -> None:
        self._deadline = asked + self._lease - min(LONGEST_MARGIN, self._lease * MARGIN)

    async def _register(self) -> None:
        # Nothing is allowed until the row is there, and nothing that was claimed by the old instance ever
        # again.
        self._deadline = float("-inf")
        self._claimed.clear()
        old, self._lock = self._lock, None
        if old is not None:
            old.drop()
        self.instance = new_uuid()
        while self._data_dir is not None and self._lock is None:
            self._lock = InstanceLock.take(self._data_dir, self.instance)
            if self._lock is None:
                self.instance = new_uuid()
        asked = self._clock()
        await self._connections.run(
            "begin_instance",
            self.instance,
            timedelta(seconds=self._lease),
            socket.gethostname(),
            os.getpid(),
            __version__,
            timeout=self._try,
            reserved=True,
        )
        self._extend(asked)
        if self._begun is not None:
            self._begun()

    async def _beat(self) -> None:
        # In the event loop on purpose, not in a thread: a process whose loop is stuck must lose its lease.
        pause = pauses(longest=1.0)
        seconds = self._heartbeat
        while True:
            await self._wait(seconds)
            try:
                await self.renew()
            except DATABASE_ERRORS as error:
                if not is_outage(error):
                    log.exception("the heartbeat failed for good; no claim will be made any more")
                    raise
                log.warning("the lease could not be renewed: %s", error or type(error).__name__)
                seconds = min(pause(), self._heartbeat)
            except DataDirUnusable as error:
                log.warning("the lease could not be renewed: %s", error)
                seconds = self._heartbeat
            else:
                pause = pauses(longest=1.0)
                seconds = self._heartbeat

    async def _wait(self, seconds: float) -> None:
        """Wait for the next beat; it comes at once when the database disowned us."""
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
        self._hurry.clear()
