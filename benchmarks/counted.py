"""Loads of which the upstream's own count has to agree: what is answered was sent once, or not at all."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from benchmarks.asking import ACTIONS, Asks, Target, copies, retold
from benchmarks.load import Load, Way
from benchmarks.rounds import Wrong
from benchmarks.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Counted:
    """A load, and how often the upstream is to see each request."""

    load: Load
    upstream: Upstream
    times: int = 1

    async def __call__(self, seconds: float) -> float:
        """Run the load. Raises ``Wrong`` where the upstream saw more, or less."""
        before = self.upstream.requests()
        rate = await self.load(seconds)
        seen = self.upstream.requests() - before - 1  # the question itself is one
        due = self.load.runs[-1].answers * self.times
        if seen != due:
            raise Wrong(f"the upstream saw {seen:,} requests where {due:,} were to be sent")
        return rate


async def replays(way: Way, target: Target, *, other: bool = False) -> Asks:
    """Have actions done once, and return the requests that are copies of them; ``other``: in other bytes."""
    key = secrets.token_hex(6)
    await Load(way, copies(target, key, replayed=False), 8, most=ACTIONS)(60.0)
    again = copies(target, key, replayed=True)
    return retold(again) if other else again
