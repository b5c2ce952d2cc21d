"""What was counted, minute by minute: for the charts of what no receipt tells. It is this proxy's alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

MINUTE = 60.0  # seconds
KEPT = 60  # minutes

_REPLAYS = "onceproxy_requests_total"
_STAGES = ("onceproxy_claim_duration_seconds", "onceproxy_complete_duration_seconds")
_FAMILIES = ("onceproxy_requests", *_STAGES)


class Counted(Protocol):
    """What was counted, in the text format of Prometheus."""

    def page(self) -> bytes:
        """Return all of it."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What was counted up to a moment: replays, and for each stage of the guard its seconds and how often."""

    replays: float = 0.0
    stages: tuple[tuple[float, float], ...] = ((0.0, 0.0),) * len(_STAGES)


@dataclass(frozen=True, slots=True)
class Minute:
    """What was counted in a minute. ``added``: mean seconds that the guard added; None: nothing was sent."""

    replays: float
    added: float | None


class Samples:
    """Readings of ``counted``, one a minute."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._readings: deque[Reading] = deque([Reading()], maxlen=KEPT)

    def minutes(self) -> list[Minute]:
        """Return the minutes since it began to read, at most an hour, with the one that is not over yet."""
        return [_between(one, two) for one, two in pairwise((*self._readings, self._read()))]

    def turn(self) -> None:
        """Begin a new minute."""
        self._readings.append(self._read())

    async def follow(self, application: web.Application) -> AsyncIterator[None]:
        """Begin a new minute each minute, while the application runs (``cleanup_ctx``)."""
        turning = asyncio.create_task(self._turn_each_minute())
        yield
        turning.cancel()
        with suppress(asyncio.CancelledError):
            await turning

    async def _turn_each_minute(self) -> None:
        while True:
            await asyncio.sleep(MINUTE)
            self.turn()

    def _read(self) -> Reading:
        return reading_of(self._counted.page().decode())


def reading_of(page: str) -> Reading:
    """Return what a page of metrics says."""
    lines = (
        line for line in page.splitlines(keepends=True) if line.removeprefix("# TYPE ").startswith(_FAMILIES)
    )
    replays, found = 0.0, {f"{stage}_{end}": 0.0 for stage in _STAGES for end in ("sum", "count")}
    for family in text_string_to_metric_families("".join(lines)):
        for sample in family.samples:
            if sample.name == _REPLAYS and sample.labels.get("decision") == "replay":
                replays += sample.value
            elif sample.name in found:
                found[sample.name] += sample.value
    return Reading(replays, tuple((found[f"{stage}_sum"], found[f"{stage}_count"]) for stage in _STAGES))


def _between(one: Reading, two: Reading) -> Minute:
    means = [
        (later[0] - earlier[0]) / (later[1] - earlier[1])
        for earlier, later in zip(one.stages, two.stages, strict=True)
        if later[1] > earlier[1]
    ]
    # What was refused or answered from a receipt was claimed for, and not completed.
    return Minute(max(0.0, two.replays - one.replays), sum(means) if len(means) == len(_STAGES) else None)
