"""The room that bodies have, all together: some memory, and beyond it temporary files up to a quota.

What can be refused may fill half of the quota: bodies of requests before anything is claimed, and of receipts
for copies. The other half is for answers of what was sent, which nobody can refuse any more; where that is
full as well, an answer still reaches its client, and its receipt keeps no body.
"""

from __future__ import annotations

from collections.abc import Callable

from onceproxy.core.limits import Limit, OverLimit


class Room:
    """``memory`` and ``temporary`` are bytes. ``hit`` is told when the files have no room for something."""

    # Counted without a lock: bodies end in any thread, also amid a count, where a lock would be waited for
    # for ever. An addition is not interrupted; if one were, the count would be off by a body.

    def __init__(self, memory: int, temporary: int, hit: Callable[[Limit], None]) -> None:
        self._memory = memory
        self._temporary = temporary
        self._hit = hit
        self.in_memory = 0
        self.in_files = 0

    def take_memory(self, size: int) -> bool:
        """Count bytes in, if there is memory for them."""
        if self.in_memory + size > self._memory:
            return False
        self.in_memory += size
        return True

    def give_memory(self, size: int) -> None:
        """Count bytes out."""
        self.in_memory -= size

    def check(self, size: int) -> None:
        """Make sure that a body that can be refused may have so many more bytes in its file.

        Raises:
            OverLimit: it may not.
        """
        if self.in_files + size > self._temporary // 2:
            self._hit(Limit.TEMPORARY)
            raise OverLimit(
                Limit.TEMPORARY,
                "The bodies under way fill the disk space that they may have. Nothing was sent. Retry later: "
                "it is safe (limits.temporary).",
            )

    def take_file(self, size: int) -> bool:
        """Count bytes of a file in; return whether that leaves all files within the quota."""
        self.in_files += size
        return self.in_files <= self._temporary

    def give_file(self, size: int) -> None:
        """Count bytes of a file out."""
        self.in_files -= size

    def crowded(self) -> None:
        """Note that an answer has no room to be kept."""
        self._hit(Limit.TEMPORARY)


ENDLESS = Room(1 << 62, 1 << 62, lambda limit: None)
"""For a guard without limits."""
