"""News of receipts: one LISTEN connection for a whole process, however many requests wait.

News may be lost while the connection is down, so everyone is woken when it comes back. A waiter that is woken
for nothing reads its receipt and waits on; one that is never woken would be a duplicate that hangs.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from onceproxy.core.receipts import RequestId
from onceproxy.store.cache import ReceiptCache
from onceproxy.store.connection import connect
from onceproxy.store.errors import DATABASE_ERRORS, is_outage
from onceproxy.store.retrying import pauses
from onceproxy.store.statements import sql

log = logging.getLogger(__name__)

CHANNEL = "onceproxy"
DIGEST = 32  # bytes of a request_id
CHECK_EVERY = 15.0  # seconds: a connection that died without a word (a cut cable) is found out by then
CHECK_TIMEOUT = 5.0  # seconds
# Settlements tell only those instances that live when their statement begins. For longer than one can take
# after that, an instance that has just begun looks for itself now and then.
UNHEARD = 10.0  # seconds
LOOK_EVERY = 1.0  # seconds


class EventWatch:
    """A watch over one receipt."""

    def __init__(self, event: asyncio.Event, unheard: Callable[[], bool]) -> None:
        self._event = event
        self._unheard = unheard

    async def news(self, timeout: float) -> None:
        """Return when the receipt may have changed since the last call, or after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(min(timeout, LOOK_EVERY) if self._unheard() else timeout):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()


class Watching:
    """Hears of every change, wakes whoever watches that receipt, and drops it from the cache."""

    def __init__(self, url: str, cache: ReceiptCache) -> None:
        self._url = url
        self._cache = cache
        self._watchers: defaultdict[bytes, set[asyncio.Event]] = defaultdict(set)
        self._listening = asyncio.Event()
        self._heard_from = asyncio.get_running_loop().time() + UNHEARD
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen, in the background; return once it does, or after the first try failed."""
        first = asyncio.Event()
        self._task = asyncio.create_task(self._listen_always(first))
        await first.wait()

    async def stop(self) -> None:
        """Stop listening and wake everyone a last time."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.wake_all()

    def begin_anew(self) -> None:
        """Expect to have missed news: others know only since now that this process is an instance."""
        self._heard_from = asyncio.get_running_loop().time() + UNHEARD
        self.wake_all()

    async def listening(self) -> None:
        """Return when the connection is up."""
        await self._listening.wait()

    @contextmanager
    def watch(self, request_id: RequestId) -> Iterator[EventWatch]:
        """Watch one receipt while the context lasts."""
        event = asyncio.Event()
        self._watchers[request_id.digest].add(event)
        try:
            yield EventWatch(event, self._may_miss_news)
        finally:
            watchers = self._watchers[request_id.digest]
            watchers.discard(event)
            if not watchers:
                del self._watchers[request_id.digest]

    def wake(self, digest: bytes) -> None:
        """Tell the watchers of one receipt that it may have changed."""
        self._cache.drop(digest)
        for event in self._watchers.get(digest, ()):
            event.set()

    def wake_all(self) -> None:
        """Tell every watcher that its receipt may have changed."""
        for events in self._watchers.values():
            for event in events:
                event.set()

    def _may_miss_news(self) -> bool:
        return asyncio.get_running_loop().time() < self._heard_from

    async def _listen_always(self, first: asyncio.Event) -> None:
        pause = pauses(longest=5.0)
        while True:
            try:
                await self._listen(first)
            except DATABASE_ERRORS as error:
                if not is_outage(error):
                    log.exception("listening for news failed for good; duplicates will wait in vain")
                    raise
                log.warning("not listening for news: %s", error or type(error).__name__)
            finally:
                first.set()
                self._cache.deafen()
                if self._listening.is_set():
                    self._listening.clear()
                    pause = pauses(longest=5.0)
            await asyncio.sleep(pause())

    async def _listen(self, first: asyncio.Event) -> None:
        connection = await connect(self._url)
        gone = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener(CHANNEL, self._heard)
            self._cache.hear()
            self._listening.set()
            first.set()
            self.wake_all()
            while not gone.is_set():
                try:
                    async with asyncio.timeout(CHECK_EVERY):
                        await gone.wait()
                except TimeoutError:
                    await connection.execute(sql("ping"), timeout=CHECK_TIMEOUT)
        finally:
            # Not a polite close: it would wait for a server that may be gone.
            connection.terminate()

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        try:
            digests = bytes.fromhex(str(payload))  # of one receipt, of a whole batch, or none
            if not digests:
                self.wake_all()  # an instance ended, and with it any claim that is waited for
            for start in range(0, len(digests), DIGEST):
                self.wake(digests[start : start + DIGEST])
        except ValueError:
            log.warning("heard news that is no request_id on channel %s", channel)
