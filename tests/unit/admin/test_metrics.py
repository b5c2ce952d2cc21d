"""The page for Prometheus counts, and docs/operating.md names what is on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from onceproxy.admin.metrics import Metrics
from onceproxy.admin.summing import SummedMetrics, forget_open
from onceproxy.core.limits import Limit
from onceproxy.version import __version__

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
    count_requests(metrics)
    metrics.levels.doubts(3, 90.5)
    metrics.levels.spool(2, 512)
    for meter in (metrics, metrics):
        meter.tunnel_opened("connect")
    metrics.tunnel_closed("connect")
    metrics.show_ready(lambda: True)
    return metrics


def count_requests(metrics: Metrics) -> None:
    for seconds in (0.25, 0.5):
        metrics.requests.request("r", "execute", "completed", seconds)
    metrics.requests.saved("r")
    metrics.requests.attempt("r", "completed")
    metrics.requests.claim_took(0.5)
    metrics.requests.upstream_took("r", 0.25)
    metrics.requests.complete_took(0.125)
    metrics.requests.store_error("claim")


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
        "onceproxy_requests_total": [
            ({"route": "r", "decision": "execute", "outcome": "completed"}, 2.0),
        ],
        "onceproxy_request_duration_seconds": [({"route": "r", "decision": "execute"}, 0.75)],
        "onceproxy_saved_executions_total": [({"route": "r"}, 1.0)],
        "onceproxy_attempts_total": [({"route": "r", "outcome": "completed"}, 1.0)],
        "onceproxy_claim_duration_seconds": [({}, 0.5)],
        "onceproxy_upstream_duration_seconds": [({"route": "r"}, 0.25)],
        "onceproxy_complete_duration_seconds": [({}, 0.125)],
        "onceproxy_store_errors_total": [({"verb": "claim"}, 1.0)],
        "onceproxy_receipts_in_doubt": [({}, 3.0)],
        "onceproxy_receipts_in_doubt_oldest_age_seconds": [({}, 90.5)],
        "onceproxy_spool_receipts": [({}, 2.0)],
        "onceproxy_spool_bytes": [({}, 512.0)],
        "onceproxy_tunnels_total": [({"kind": "connect"}, 2.0)],
        "onceproxy_tunnels_open": [({"kind": "connect"}, 1.0)],
        "onceproxy_info": [({"version": __version__}, 1.0)],
        "onceproxy_ready": [({}, 1.0)],
    }


COUNT = """
from onceproxy.admin.metrics import Metrics
metrics = Metrics()
metrics.looks_repeated("r")
metrics.batch("claims", 7)
metrics.receipt_cache_hit()
metrics.requests.request("r", "execute", "completed", 0.25)
metrics.levels.doubts(3, 90.5)
metrics.tunnel_opened("connect")
import os
print(os.getpid())
"""


def test_several_processes_are_summed_up_when_they_have_ended(tmp_path: Path) -> None:
    directory = tmp_path / "a [b]"
    directory.mkdir()
    summed = SummedMetrics(directory, lambda: False)
    standing = {"onceproxy_info": [({"version": __version__}, 1.0)], "onceproxy_ready": [({}, 0.0)]}
    assert samples(summed) == standing
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}
    for _ in range(2):
        run = [sys.executable, "-c", COUNT]
        ended = subprocess.run(run, check=True, env=environ, capture_output=True)

    assert samples(summed)["onceproxy_tunnels_open"] == [({"kind": "connect"}, 2.0)]
    forget_open(directory, int(ended.stdout))
    found = {name: values for name, values in samples(summed).items() if any(value for _, value in values)}
    assert found == {
        "onceproxy_info": standing["onceproxy_info"],
        "onceproxy_looks_repeated_total": [({"route": "r"}, 2.0)],
        "onceproxy_batch_rows": [({"lane": "claims"}, 14.0)],
        "onceproxy_receipt_cache_hits_total": [({}, 2.0)],
        "onceproxy_requests_total": [({"route": "r", "decision": "execute", "outcome": "completed"}, 2.0)],
        "onceproxy_request_duration_seconds": [({"route": "r", "decision": "execute"}, 0.5)],
        # Of the database that both see, and of what the one that still runs has open.
        "onceproxy_receipts_in_doubt": [({}, 3.0)],
        "onceproxy_receipts_in_doubt_oldest_age_seconds": [({}, 90.5)],
        "onceproxy_tunnels_total": [({"kind": "connect"}, 2.0)],
        "onceproxy_tunnels_open": [({"kind": "connect"}, 1.0)],
    }


def test_the_docs_name_each_metric_and_its_labels_and_no_other() -> None:
    page = {name: set(found[0][0]) for name, found in samples(counted()).items()}
    families = re.findall(
        r"^# TYPE (\w+) (?:counter|gauge|histogram)$", counted().page().decode("utf-8"), re.MULTILINE
    )

    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels, _ in ROW.findall(DOCS)} == page
    named = [name for name in families if not name.endswith("_created")]
    assert sorted(named) == sorted(page), "each metric is counted above"
