"""The counting upstream for programs and tests that have no event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from onceproxy.testing.upstream import PATIENCE, Behaviour, Seen, Upstream

T = TypeVar("T")


class CountingUpstream:
    """An API on loopback, in a thread of its own, that counts what reaches it, and misbehaves on demand.

    A context manager; ``url`` is there inside. Every request is recorded before anything is answered, so
    ``executions`` also counts what was done and whose answer got lost.
    """

    def __init__(self) -> None:
        self._upstream = Upstream()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="counting upstream", daemon=True)

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return self._upstream.url

    @property
    def requests(self) -> list[Seen]:
        """What has arrived so far."""
        return list(self._upstream.requests)

    @property
    def executions(self) -> int:
        """How many requests that are no reads have arrived so far."""
        return self._upstream.executions

    def will(self, *behaviours: Behaviour) -> None:
        """Queue what it does with the next requests: ``answer(…)``, ``lost``, ``reset``, ``hang``, …."""
        self._loop.call_soon_threadsafe(self._upstream.will, *behaviours)

    def always(self, behaviour: Behaviour) -> None:
        """Say what it does with requests for which nothing is queued; at first ``answer(201)``."""
        self._loop.call_soon_threadsafe(setattr, self._upstream, "always", behaviour)

    def wait_for(self, count: int) -> None:
        """Wait until ``count`` requests have arrived in all.

        Raises:
            TimeoutError: it took more than 20 s.
        """
        self._run(self._upstream.arrived(count))

    def __enter__(self) -> CountingUpstream:
        self._thread.start()
        self._run(self._upstream.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._upstream.__aexit__(kind, error, trace))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE + 1)
