"""The numbers at the top of the page, each with its last hour as a chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from markupsafe import Markup

from onceproxy.admin.page.charts import bars, line
from onceproxy.admin.page.samples import KEPT, Minute
from onceproxy.admin.page.words import age
from onceproxy.core.states import State
from onceproxy.store.records import SliceCount

_T = TypeVar("_T")
BACK, WIDTH = timedelta(hours=1), timedelta(minutes=1)
_SENT = frozenset({State.CLAIMED, State.COMPLETED, State.IN_DOUBT, State.TOMBSTONE})


@dataclass(frozen=True, slots=True)
class Tile:
    """A number, what it is about, and its chart. ``some``: it is one that should be 0, and is not."""

    kind: str
    title: str
    value: str
    remark: str
    chart: Markup
    unit: str = ""
    some: bool = False


def tiles(
    slices: Sequence[SliceCount],
    minutes: Sequence[Minute],
    doubts: int,
    oldest: float,
    now: datetime,
) -> list[Tile]:
    """Return the numbers of the last hour, and of what is in doubt now.

    ``doubts``: how many actions are, and ``oldest`` for how many seconds the oldest of them has been.
    """
    executions = by_minute([one for one in slices if one.state in _SENT], now)
    unknown = by_minute([one for one in slices if one.state is State.IN_DOUBT], now)
    replays = [one.replays for one in minutes]
    added = [one.added * 1000 if one.added is not None else None for one in minutes]
    measured = [value for value in added if value is not None]
    mean = measured[-1] if measured else None
    return [
        Tile(
            "executions",
            "Executions",
            f"{sum(executions):,}",
            "in the last hour, by all proxies",
            bars(executions, _in_words("Executions", executions)),
        ),
        Tile(
            "replays",
            "Replays",
            f"{sum(replays):,.0f}",
            f"in {_span(len(minutes))}, by this proxy",
            bars(_padded(replays, 0.0), _in_words("Replays", replays)),
        ),
        Tile(
            "doubts",
            "In doubt",
            f"{doubts:,}",
            f"the oldest for {age(oldest)}" if doubts else "nothing is unknown",
            bars(unknown, _in_words("Actions first sent then, and still in doubt", unknown)),
            some=doubts > 0,
        ),
        Tile(
            "latency",
            "Latency added",
            f"{mean:.1f}" if mean is not None else "–",
            "mean to claim and to store, by this proxy",
            line(_padded(added, None), _latency_in_words(measured)),
            "ms" if mean is not None else "",
        ),
    ]


def by_minute(slices: Sequence[SliceCount], now: datetime) -> list[int]:
    """Return how many there were in each minute of the last hour, the current one last."""
    counts: Counter[int] = Counter()
    this = int(now.timestamp() // 60)
    for one in slices:
        counts[int(one.slice.timestamp() // 60)] += one.receipts
    return [counts[this - back] for back in range(KEPT - 1, -1, -1)]


def _padded(values: Sequence[_T], nothing: _T) -> list[_T]:
    return [nothing] * (KEPT - len(values)) + list(values)


def _span(minutes: int) -> str:
    return "the last hour" if minutes >= KEPT else f"the last {minutes} min"


def _in_words(what: str, values: Sequence[float]) -> str:
    if not any(values):
        return f"{what} per minute: none"
    return f"{what} per minute: {sum(values):.0f} in all, at most {max(values):.0f}"


def _latency_in_words(measured: Sequence[float]) -> str:
    if not measured:
        return "Latency added per minute: nothing was measured"
    return f"Latency added per minute: from {min(measured):.1f} to {max(measured):.1f} ms"
