"""What is true of a proxy at the moment it is asked, and is counted nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from onceproxy.version import __version__


class Standing(Collector):
    """Which version runs, and whether it may send (``ready``)."""

    def __init__(self, ready: Callable[[], bool]) -> None:
        self._ready = ready

    def collect(self) -> Iterable[Metric]:
        """Return both as they are now."""
        info = GaugeMetricFamily(
            "onceproxy_info", "Always 1: the version is in the label.", labels=["version"]
        )
        info.add_metric([__version__], 1)
        yield info
        yield GaugeMetricFamily(
            "onceproxy_ready",
            "1 where guarded requests can be served now, as /readyz says.",
            int(self._ready()),
        )
