"""The page for Prometheus counts, and docs/operating.md names what is on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from onceproxy.admin.metrics import Metrics, SummedMetrics
from onceproxy.core.limits import Limit

DOCS = (Path(__file__).parents[3] / "docs" / "operating.md").read_text("utf-8")
ROW = re.compile(r"^\| `(onceproxy_\w+)` \| (.*?) \| (.+) \|$", re.MULTILINE)


def samples(metrics: Metrics | SummedMetrics) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(metrics.page().decode("utf-8")):
        for sample in family.samples:
            # Of a histogram, which is named without a suffix in the docs, the sum.
            name = sample.name.removesuffix("_sum") if family.type == "histogram" else sample.name
            if not name.endswith(("_created", "_bucket", "_count")):
                found.setdefault(name, []).append((sample.labels, sample.value))
    return found


def counted() -> Metrics:
    """Return metrics with each of them counted."""
    metrics = Metrics()
    metrics.executed_twice("r")
    metrics.observed("r", "would-replay")
    metrics.egress_denied("private-network")
    metrics.client_tls_failed("distrusted")
    for route in ("r", "r", "s"):
        metrics.looks_repeated(route)
    metrics.unreadable("r")
    metrics.hook("told")
    metrics.limit_hit(Limit.QUEUE)
    metrics.batch("claims", 7)
    metrics.receipt_cache_hit()
    return metrics


def test_what_is_counted_is_on_the_page() -> None:
    assert samples(counted()) == {
        "onceproxy_executed_twice_total": [({"route": "r"}, 1.0)],
        "onceproxy_observed_total": [({"route": "r", "would": "would-replay"}, 1.0)],
        "onceproxy_client_tls_failed_total": [({"reason": "distrusted"}, 1.0)],
        "onceproxy_egress_denied_total": [({"rule": "private-network"}, 1.0)],
        "onceproxy_looks_repeated_total": [({"route": "r"}, 2.0), ({"route": "s"}, 1.0)],
        "onceproxy_receipts_unreadable_total": [({"route": "r"}, 1.0)],
        "onceproxy_hooks_total": [({"result": "told"}, 1.0)],
        "onceproxy_limits_hit_total": [({"limit": "queue"}, 1.0)],
        "onceproxy_batch_rows": [({"lane": "claims"}, 7.0)],
        "onceproxy_receipt_cache_hits_total": [({}, 1.0)],
    }


COUNT = """
from onceproxy.admin.metrics import Metrics
metrics = Metrics()
metrics.looks_repeated("r")
metrics.batch("claims", 7)
metrics.receipt_cache_hit()
"""


def test_several_processes_are_summed_up_when_they_have_ended(tmp_path: Path) -> None:
    directory = tmp_path / "a [b]"
    directory.mkdir()
    summed = SummedMetrics(directory)
    assert samples(summed) == {}
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", COUNT], check=True, env=environ)

    assert samples(summed) == {
        "onceproxy_looks_repeated_total": [({"route": "r"}, 2.0)],
        "onceproxy_batch_rows": [({"lane": "claims"}, 14.0)],
        "onceproxy_receipt_cache_hits_total": [({}, 2.0)],
    }


def test_the_docs_name_each_metric_and_its_labels_and_no_other() -> None:
    page = {name: set(found[0][0]) for name, found in samples(counted()).items()}
    families = re.findall(
        r"^# TYPE (\w+) (?:counter|histogram)$", counted().page().decode("utf-8"), re.MULTILINE
    )

    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels, _ in ROW.findall(DOCS)} == page
    assert sorted(families) == sorted(page), "each metric is counted above"
