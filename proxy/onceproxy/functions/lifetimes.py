"""When a guard is open: from its first use or ``open`` to ``close``, the program's end, or a fork."""

from __future__ import annotations

import atexit
import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakSet

from onceproxy.functions.background import Background, Wait, blocking, run_blocking
from onceproxy.functions.errors import GuardClosed
from onceproxy.functions.opening import Opened, Place, open_guard

AT_EXIT = 2.0  # seconds that calls in daemon threads have to end in at the end of the program


class Lifetime:
    """Opens a guard once, whoever asks first and however many ask, and closes it once."""

    def __init__(self, place: Place, grace: float) -> None:
        self._place = place
        self._grace = grace
        self._closed = False
        self._opened: Future[Opened] | None = None
        self._lock = threading.Lock()
        _all.add(self)

    def opened(self, *, again: bool = False) -> Future[Opened]:
        """Return what is open, or will be in a moment; it is opened if need be.

        ``again``: also when it was closed.

        Raises:
            GuardClosed: it was closed.
        """
        with self._lock:
            if self._closed and not again:
                raise GuardClosed(
                    "The guard is closed. Nothing was called. Open it again, or make another one."
                )
            self._closed = False
            if self._opened is None or (self._opened.done() and self._opened.exception() is not None):
                background = Background()
                self._opened = background.run(open_guard(self._place, dict(os.environ), background))
                self._opened.add_done_callback(lambda done: _end_if_failed(done, background))
                _open.add(self)
            return self._opened

    async def close(self, wait: Wait, grace: float | None = None) -> None:
        """Close it, if it is open; ``grace`` is in seconds."""
        with self._lock:
            opening, self._opened, self._closed = self._opened, None, True
        _open.discard(self)
        if opening is None:
            return
        with suppress(Exception):  # where it could not be opened, there is nothing to close
            await wait(opening)
        if opening.exception() is not None:
            return
        opened = opening.result()
        try:
            await wait(opened.background.run(opened.close(self._grace if grace is None else grace)))
        finally:
            opened.background.end()
            await wait(opened.background.ended)

    def forget(self) -> None:
        """Leave to the parent process what is its own, and open anew when need be. In a forked child."""
        self._lock = threading.Lock()  # somebody in the parent may have held it
        if self._opened is not None:
            _parents.append(self._opened)
        self._opened = None


_all: WeakSet[Lifetime] = WeakSet()
_open: set[Lifetime] = set()  # kept alive, to be closed at the end of the program

_parents: list[Future[Opened]] = []
"""What forked children have of their parents. Nothing of it is closed or collected: an event loop that closes
would take the parent's sockets out of a selector that both share."""


def _end_if_failed(opening: Future[Opened], background: Background) -> None:
    if opening.cancelled() or opening.exception() is not None:
        background.end()


def _after_fork() -> None:
    for lifetime in list(_all):
        lifetime.forget()
    _open.clear()


def _at_exit() -> None:
    for lifetime in list(_open):
        run_blocking(lifetime.close(blocking, AT_EXIT))


@dataclass(frozen=True, slots=True)
class Home:
    """Whose a guard's calls are, and where they are guarded."""

    lifetime: Lifetime
    scope: tuple[str, ...]
    namespace: str


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
