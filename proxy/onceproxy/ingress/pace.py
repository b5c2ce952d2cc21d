"""How fast a client sends its body; the time in which nobody reads it does not count."""

from __future__ import annotations

from collections.abc import Callable

from onceproxy.core.limits import Limit


class Pace:
    """Watches one body. Of ``timeout`` seconds that it was waited for, each must have brought ``rate`` bytes.

    ``clock`` gives seconds. There is no timer in here: somebody looks from time to time.
    """

    __slots__ = ("_bytes", "_clock", "_rate", "_since", "_timeout", "_waited", "over")

    def __init__(self, timeout: float, rate: int, clock: Callable[[], float]) -> None:
        self._timeout = timeout
        self._rate = rate
        self._clock = clock
        self._since: float | None = None
        self._waited = 0.0
        self._bytes = 0
        self.over: Limit | None = None  # what it was too slow for, once it was

    def wait(self) -> None:
        """Note that the next piece is waited for."""
        self._since = self._clock()

    def take(self, size: int) -> None:
        """Note that a piece of so many bytes is there."""
        if self._since is not None:
            self._waited += self._clock() - self._since
            self._since = None
        self._bytes += size

    def look(self) -> Limit | None:
        """Say by which limit the body is too slow, if it is."""
        if self._since is None:
            return None
        now = self._clock()
        waited = self._waited + now - self._since
        if waited < self._timeout:
            return None
        if not self._bytes:
            self.over = Limit.BODY_TIMEOUT
        elif self._bytes < self._rate * waited:
            self.over = Limit.BODY_RATE
        else:
            self._since, self._waited, self._bytes = now, 0.0, 0
        return self.over
