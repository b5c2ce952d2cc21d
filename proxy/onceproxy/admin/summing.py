"""What several processes have counted, each in files of its own, as one page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from onceproxy.admin.standing import Standing
from onceproxy.admin.tally import Tally, tally_of


def remove_files() -> None:
    """Remove what this process has counted in files, and their directory if no other process counts there."""
    directory = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    with suppress(OSError):
        for path in directory.glob(f"*_{os.getpid()}.db"):
            path.unlink()
        directory.rmdir()


def forget_open(directory: Path, pid: int) -> None:
    """Remove from ``directory`` what a process had open: it has ended. What it has counted stays."""
    for path in directory.glob(f"gauge_live*_{pid}.db"):
        path.unlink(missing_ok=True)


class SummedMetrics:
    """The page of several processes: the sums of what each has counted, also those that ended.

    ``directory`` is their PROMETHEUS_MULTIPROC_DIR. ``ready`` says whether one of them may send.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, directory: Path, ready: Callable[[], bool]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Sums(directory))
        self._registry.register(Standing(ready))

    def tally(self) -> Tally:
        """Return the few numbers that a terminal shows."""
        return tally_of(self._registry.collect())

    def page(self) -> bytes:
        """Return all that was counted in the text format of Prometheus."""
        return generate_latest(self._registry)


class _Sums(Collector):
    """Not the library's own collector, to which a [ in the path is a pattern."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        """Return the counters as they are now."""
        files = [str(path) for path in self._directory.glob("*.db")]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # of the library
        return merged
