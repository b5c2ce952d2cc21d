"""Alerts and the dashboard ask for metrics, labels and values that there are, and their runbooks exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from onceproxy.core.limits import Limit
from onceproxy.signals.deciding import DECISIONS, OUTCOMES
from unit.admin.test_metrics import counted, samples

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "config" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "config" / "grafana" / "onceproxy.json"

EVERYWHERE = {"job", "instance"}  # what Prometheus adds to each series
VALUES = {
    "decision": set(DECISIONS),
    "outcome": {str(outcome) for outcome in OUTCOMES},
    "limit": {str(limit) for limit in Limit},
    "result": {"told", "put-off", "failed"},
    "verb": {"claim", "settle", "read", "load", "note", "resolve", "count"},
}

SELECTOR = re.compile(r"\b(onceproxy_\w+|up)\b(?:\{(.*?)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!=|!~|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
SHOWN = re.compile(r"\$labels\.(\w+)|\{\{\s*(\w+)\s*\}\}")


def known() -> dict[str, set[str]]:
    """The labels of each series that can be asked for."""
    series: dict[str, set[str]] = {"up": EVERYWHERE}
    page = counted().page().decode("utf-8")
    histograms = set(re.findall(r"^# TYPE (\w+) histogram$", page, re.MULTILINE))
    for name, found in samples(counted()).items():
        labels = set(found[0][0]) | EVERYWHERE
        if name in histograms:
            series |= {f"{name}_sum": labels, f"{name}_count": labels, f"{name}_bucket": labels | {"le"}}
        else:
            series[name] = labels
    return series


def wrong_with(expression: str, shown: str = "") -> list[str]:
    """What an expression asks for that there is not; ``shown`` is a text that shows its labels."""
    there, wrong = known(), []
    labels: set[str] = set()
    for name, matchers in SELECTOR.findall(expression):
        if name not in there:
            wrong.append(name)
            continue
        labels |= there[name]
        for label, value in MATCHER.findall(matchers):
            if label not in there[name]:
                wrong.append(f"{name}{{{label}}}")
            elif label in VALUES and not value.startswith("$"):
                wrong += [f"{label}={one}" for one in value.split("|") if one not in VALUES[label]]
    named = {label.strip() for names in GROUPING.findall(expression) for label in names.split(",")}
    named |= {first or second for first, second in SHOWN.findall(shown)}
    wrong += sorted(named - labels)
    return wrong if labels else [*wrong, f"nothing of ours is in {expression}"]


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def targets() -> Iterator[tuple[str, str, str]]:
    """Each panel's title, and what it asks for and how it calls what comes back."""
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    assert wrong_with(rule["expr"], json.dumps(rule["annotations"])) == []
    assert rule["labels"]["severity"] in ("page", "ticket")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do_about_it(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert not anchor or anchor in anchors


@pytest.mark.parametrize(("title", "expression", "legend"), list(targets()))
def test_a_panel_asks_for_what_there_is(title: str, expression: str, legend: str) -> None:
    assert wrong_with(expression, legend) == []


def test_each_metric_is_on_the_dashboard() -> None:
    asked = {name for _, expression, _ in targets() for name, _ in SELECTOR.findall(expression)}
    families = {re.sub(r"_(sum|count|bucket)$", "", name) for name in asked}
    # Found in an alert, or where somebody looks for it.
    elsewhere = {
        *("onceproxy_info", "onceproxy_looks_repeated_total", "onceproxy_receipts_unreadable_total"),
        *("onceproxy_spool_bytes", "onceproxy_tunnels_total"),
    }

    assert set(samples(counted())) - families == elsewhere


def test_panels_have_ids_and_places_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        (
            "onceproxy_absent_total",
            ["onceproxy_absent_total", "nothing of ours is in onceproxy_absent_total"],
        ),
        ('onceproxy_limits_hit_total{route="x"}', ["onceproxy_limits_hit_total{route}"]),
        ('onceproxy_limits_hit_total{limit=~"queue|patience"}', ["limit=patience"]),
        ("sum by (host) (onceproxy_requests_total)", ["host"]),
        (
            "onceproxy_claim_duration_seconds",
            ["onceproxy_claim_duration_seconds", "nothing of ours is in onceproxy_claim_duration_seconds"],
        ),
    ],
)
def test_what_is_not_there_is_found(expression: str, wrong: list[str]) -> None:
    assert wrong_with(expression) == wrong


PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")


def promtool(*arguments: str | Path, stdin: bytes = b"") -> tuple[int, str]:
    assert PROMTOOL is not None
    run = subprocess.run([PROMTOOL, *arguments], input=stdin, capture_output=True, check=False)
    return run.returncode, (run.stdout + run.stderr).decode()


@needs_promtool
def test_promtool_takes_the_rules_and_their_tests_pass() -> None:
    for arguments in (("check", "rules", ALERTS), ("test", "rules", ALERTS.with_name("alerts_test.yaml"))):
        code, said = promtool(*arguments)
        assert code == 0, said


@needs_promtool
def test_promtool_finds_nothing_to_complain_of_in_names_and_descriptions() -> None:
    code, said = promtool("check", "metrics", stdin=counted().page())

    assert (code, said) == (0, "")


def test_each_alert_is_tried() -> None:
    tried = yaml.safe_load(ALERTS.with_name("alerts_test.yaml").read_text("utf-8"))["tests"]
    told = {one["alertname"] for test in tried for one in test["alert_rule_test"] if one.get("exp_alerts")}

    assert told == {rule["alert"] for rule in rules()}
