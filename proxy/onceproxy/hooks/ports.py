"""What telling others needs: notices to tell, somebody who sends, and somebody who counts."""

from __future__ import annotations

from typing import Protocol

from onceproxy.core.messages import Request
from onceproxy.core.notices import NoticeKind, Taken


class Outbox(Protocol):
    """Durable notices. Each verb may fail as its store does."""

    async def take(self, kinds: frozenset[NoticeKind]) -> Taken | None:
        """Take the notice of these kinds that is due first, if there is one, and no other instance has it."""
        ...

    async def told(self, taken: Taken, told: frozenset[bytes]) -> None:
        """Say that all who had to be told are."""
        ...

    async def put_off(self, taken: Taken, told: frozenset[bytes], pause: float) -> None:
        """Let it be due again after ``pause`` seconds, for those who are not among the ``told``."""
        ...

    async def give_up(self, taken: Taken, told: frozenset[bytes]) -> None:
        """Keep it as one that could not be told to all."""
        ...


class Post(Protocol):
    """Sends a request to a receiver."""

    async def __call__(self, request: Request) -> int:
        """Return the status of the answer.

        Raises:
            SendFailed: there is none.
        """
        ...


class HookMeter(Protocol):
    """Counts what became of notices."""

    def hook(self, result: str) -> None:
        """A try to tell a hook ended: ``told``, ``put-off`` or ``failed``, which is for good."""
        ...
