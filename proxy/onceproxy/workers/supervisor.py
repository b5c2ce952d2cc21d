"""The supervisor: it holds the port, keeps workers running, and tells of all of them together.

It serves no request and claims nothing, so its end costs none: its workers stop in good order without it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from onceproxy.admin.listener import AdminListener
from onceproxy.admin.summing import SummedMetrics, forget_open
from onceproxy.admin.tally import Tally
from onceproxy.admin_setup import admin_parts
from onceproxy.config.load import ConfigError
from onceproxy.config.model import Settings
from onceproxy.listening import listen, port_taken, url_of
from onceproxy.serve import GRACE, Place
from onceproxy.wiring import admin_door, check_rules, doors
from onceproxy.workers.channel import Begin, Bury, Follow, Hurry, Stop
from onceproxy.workers.port import SPREADS, SharedPort
from onceproxy.workers.process import WorkerFailed, WorkerProcess

log = structlog.get_logger("onceproxy.workers")

SETTLED = 10.0  # seconds: a worker that lived so long did not die of its start
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds until one that died of its start is started again
LAST_PATIENCE = 60.0  # seconds beyond the grace, for what a stop does after it; then a worker is killed


async def supervise(settings: Settings, grace: float = GRACE) -> Supervisor:
    """Start ``settings.workers`` workers; when this returns they serve.

    ``grace``: seconds that workers give what is in flight, should the supervisor be killed.

    Raises:
        ConfigError: it would let strangers in, or workers are not to be had on this system.
        PortTaken: a port can't be listened on.
        WorkerFailed: a worker could not start. Where it has a return code it has said why itself.
    """
    if not SPREADS:
        raise ConfigError(
            [
                "workers: only Linux spreads connections over processes that share a port; leave it at 1, "
                "and run several proxies over one database behind a balancer"
            ]
        )
    token = doors(settings)[1]
    async with AsyncExitStack() as parts:
        try:
            port = await SharedPort.take(settings.listen.host, settings.listen.port)
        except OSError as error:
            raise port_taken("listen", settings.listen, error) from error
        parts.callback(port.release)
        metrics = Path(parts.enter_context(TemporaryDirectory(prefix="onceproxy-metrics-")))
        supervisor = Supervisor(settings, grace, metrics)
        counted = SummedMetrics(metrics, supervisor.may_send)
        supervisor.tally = counted.tally
        shown = admin_parts(lambda: supervisor.settings, counted, parts)
        admin = AdminListener(supervisor.may_send, counted, admin_door(settings, token), shown)
        parts.push_async_callback(admin.close)
        supervisor.admin_url = await listen(admin, settings.admin.listen, "admin.listen")
        supervisor.url = url_of(settings.listen.host, port.number)
        parts.push_async_callback(supervisor.end_all)
        await supervisor.begin(Place(port.number, supervisor.admin_url))
        supervisor.parts.push_async_callback(parts.pop_all().aclose)
        return supervisor


class Supervisor:
    """The workers that run. ``url`` is where clients find them, ``admin_url`` where health is told."""

    def __init__(self, settings: Settings, grace: float, metrics: Path) -> None:
        self.settings = settings
        self._grace = grace
        self._metrics = metrics
        self._place = Place(0, "")
        self._workers: set[WorkerProcess] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self.parts = AsyncExitStack()
        self.tally: Callable[[], Tally] = Tally
        self.url = ""
        self.admin_url = ""
        self.database = "embedded" if settings.database == "embedded" else "external"

    async def begin(self, place: Place) -> None:
        """Start all workers, and keep as many running from now on. Raises ``WorkerFailed``."""
        self._place = place
        # The first one alone: it makes what is not there yet, and what can't be is told once.
        workers = [await self._ready()]
        workers += await asyncio.gather(*(self._ready() for _ in range(self.settings.workers - 1)))
        self._keepers = [asyncio.create_task(self._keep(worker)) for worker in workers]

    def may_send(self) -> bool:
        """Say whether guarded requests can be served now, by one worker at least.

        A worker that was silent for as long as a lease lasts has lost it: both come from one event loop.
        """
        lease = self.settings.limits.lease
        return not self._stopping.is_set() and any(worker.may_send(lease) for worker in self._workers)

    def follow(self, settings: Settings) -> None:
        """Have all workers treat the requests that come from now on as ``settings`` say.

        Raises:
            ConfigError: these settings would let strangers in.
        """
        check_rules(settings)
        self.settings = settings
        for worker in self._workers:
            worker.tell(Follow(settings))

    async def stop(self, grace: float = GRACE) -> None:
        """Have all workers take no more requests, and end those in flight within ``grace`` seconds."""
        await self.end_all(grace)
        await asyncio.gather(*self._keepers)
        await self.parts.aclose()

    def hurry(self) -> None:
        """Cut short the grace of a stop under way."""
        for worker in self._workers:
            worker.tell(Hurry())

    async def end_all(self, grace: float = 0.0) -> None:
        """End all workers, and start none any more. May be called twice."""
        self._grace = grace
        self._stopping.set()
        for worker in self._workers:
            worker.tell(Stop(grace))
        if ends := [worker.end for worker in self._workers]:
            await asyncio.wait(ends, timeout=grace + LAST_PATIENCE)
        for worker in list(self._workers):
            if not worker.end.done():
                log.error("worker-killed", pid=worker.pid, hint="it did not stop; its claims are in doubt")
                worker.kill()
                await asyncio.wait({worker.end})

    async def _spawn(self) -> WorkerProcess:
        worker = await WorkerProcess.spawn(self._metrics)
        self._workers.add(worker)
        worker.tell(Begin(self.settings, self._place, self._grace))
        if self._stopping.is_set():
            worker.tell(Stop(self._grace))
        return worker

    async def _ready(self) -> WorkerProcess:
        worker = await self._spawn()
        ready = asyncio.create_task(worker.ready.wait())
        await asyncio.wait({ready, worker.end}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not worker.ready.is_set():
            raise WorkerFailed(worker.end.result())
        return worker

    async def _keep(self, worker: WorkerProcess | None) -> None:
        """Start a worker anew whenever it has ended, until all are to."""
        pauses = _pauses()
        while True:
            pause = next(pauses)
            if worker is not None:
                code = await worker.end
                self._workers.discard(worker)
                forget_open(self._metrics, worker.pid)
                if self._stopping.is_set():
                    return
                log.error("worker-ended", pid=worker.pid, code=code, hint="another one takes its place")
                for sibling in self._workers:
                    sibling.tell(Bury())
                if time.monotonic() - worker.born > SETTLED:
                    pauses, pause = _pauses(), 0.0
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            if self._stopping.is_set():
                return
            try:
                worker = await self._spawn()
            except OSError as error:
                worker = None
                log.error("worker-not-started", error=str(error), hint="this is tried on")


def _pauses() -> Iterator[float]:
    """Yield the seconds to wait before each start: none at first, and more and more."""
    yield 0.0
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(LONGEST_PAUSE, pause * 2)
