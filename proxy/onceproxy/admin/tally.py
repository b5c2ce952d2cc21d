"""The few numbers that a person at a terminal wants to see, from all that was counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

SAMPLES = ("onceproxy_requests_total", "onceproxy_receipts_in_doubt")
"""What is looked at; a registry can be asked for these alone."""


@dataclass(frozen=True, slots=True)
class Tally:
    """``unknown``: actions in doubt, in the whole database; the others are since the start."""

    requests: int = 0
    executed: int = 0
    replayed: int = 0
    unknown: int = 0


def tally_of(families: Iterable[Metric]) -> Tally:
    """Add up what was counted."""
    requests = executed = replayed = unknown = 0.0
    for family in families:
        for sample in family.samples:
            if sample.name == SAMPLES[0]:
                requests += sample.value
                executed += sample.value if sample.labels["decision"] == "execute" else 0
                replayed += sample.value if sample.labels["decision"] == "replay" else 0
            elif sample.name == SAMPLES[1]:
                unknown = sample.value
    return Tally(int(requests), int(executed), int(replayed), int(unknown))
