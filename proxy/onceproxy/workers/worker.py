"""A worker: a whole proxy that shares its port, does as its supervisor says, and ends with it."""

from __future__ import annotations

import asyncio
import signal
import socket

import structlog

from onceproxy.admin.summing import remove_files
from onceproxy.config.load import ConfigError
from onceproxy.guard.ports import StoreUnavailable
from onceproxy.running import calm_collector, started, stopped
from onceproxy.serve import Proxy, start
from onceproxy.workers.channel import Begin, Bury, Channel, Follow, Hurry, Stop, Word

log = structlog.get_logger("onceproxy.workers")

EVERY = 0.5  # seconds between two words to the supervisor


class _Orders:
    """What the supervisor says. ``pending`` is what only a proxy that runs can do."""

    def __init__(self, channel: Channel, grace: float) -> None:
        self._channel = channel
        self.grace = grace
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self.alone = False
        self.pending: asyncio.Queue[Follow | Bury] = asyncio.Queue()

    async def hear(self) -> None:
        """Hear until the supervisor is gone, which is an order to stop as well."""
        while (order := await self._channel.hear()) is not None:
            match order:
                case Follow() | Bury():
                    self.pending.put_nowait(order)
                case Stop(grace=grace):
                    self.grace = grace
                    self.stop.set()
                case Hurry():
                    self.hurry.set()
        self.alone = True
        if not self.stop.is_set():
            log.warning("supervisor-gone", hint="this worker stops, as if it had been told to")
        self.stop.set()


async def work(end: socket.socket) -> None:
    """Serve behind ``end``, one of a pair of sockets whose other one the supervisor has.

    Raises what ``start`` raises.
    """
    channel = await Channel.over(end)
    try:
        begin = await channel.hear()
        if isinstance(begin, Begin):
            await _serve(begin, channel)
    finally:
        await channel.close()


async def _serve(begin: Begin, channel: Channel) -> None:
    orders = _Orders(channel, begin.grace)
    loop = asyncio.get_running_loop()
    # Whoever stops a whole service may signal each process of it. So a second signal is no hurry here: only
    # the supervisor can tell it from the first.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, orders.stop.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    tasks = [asyncio.create_task(orders.hear())]
    try:
        starting = start(begin.settings, place=begin.place)
        proxy = await started(starting, orders.stop, cut_short=begin.settings.database != "embedded")
        if proxy is None:
            return
        calm_collector()
        tasks += [asyncio.create_task(work) for work in (_obey(proxy, orders), _tell(proxy, channel))]
        stop = asyncio.create_task(orders.stop.wait())
        done, _ = await asyncio.wait({stop, *tasks[1:]}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        await stopped(proxy, orders.grace, orders.hurry)
        for task in done - {stop}:
            task.result()  # none of them ends but by a fault, which ends this worker
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if orders.alone:
            remove_files()  # nobody is left to sum them up


async def _obey(proxy: Proxy, orders: _Orders) -> None:
    while True:
        try:
            match await orders.pending.get():
                case Follow(settings=settings):
                    proxy.follow(settings)
                case Bury():
                    await proxy.bury_the_dead()
        except (ConfigError, ValueError) as error:
            # The supervisor found it right: a file beside it has changed since, and will be looked at again.
            log.error("config-rejected", problems=str(error).splitlines())
        except StoreUnavailable as error:
            log.warning("sibling-not-buried", hint="the next worker that starts does it", error=str(error))


async def _tell(proxy: Proxy, channel: Channel) -> None:
    while True:
        channel.tell(Word(proxy.ready()))
        await asyncio.sleep(EVERY)
