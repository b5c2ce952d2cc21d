"""What each preset makes of recorded requests: their route, whether they are actions, their copies.

The requests are in ``presets/*.yaml``, by preset: ``send`` is the method and the URL; ``passes`` or
``route`` the route that they get, unguarded or guarded; ``key`` the client's key; ``injects`` the header that
gets ours; ``same`` and ``other`` are changes that leave the action the same, or make another of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from onceproxy.config.model import Settings
from onceproxy.config.routing import route_table
from onceproxy.config.shipped import load_preset, preset_names
from onceproxy.core.credential import stable_credential
from onceproxy.core.identity import examine
from onceproxy.core.messages import Request, header_values
from unit.config.requests import a_request

Case = dict[str, Any]

CASES: dict[str, list[Case]] = {
    preset: cases
    for file in sorted((Path(__file__).parent / "presets").glob("*.yaml"))
    for preset, cases in yaml.safe_load(file.read_text("utf-8")).items()
}
ALL = {
    f"{preset}-{number}": (preset, case)
    for preset, cases in CASES.items()
    for number, case in enumerate(cases)
}
ACTIONS = {name: case for name, case in ALL.items() if "route" in case[1]}


def made(case: Case, change: Case | None = None) -> Request:
    """Return the request of a case; changed headers replace those of the same name, or are put after them."""
    whole: Case = {"headers": {}, "body": ""} | case | (change or {})
    method, _, url = whole["send"].partition(" ")
    headers = case.get("headers", {}) | whole["headers"]
    return a_request(
        method, url, *(f"{name}: {value}" for name, value in headers.items()), body=whole["body"]
    )


def test_there_are_cases_of_each_preset_and_each_of_its_routes() -> None:
    assert sorted(CASES) == list(preset_names())
    for preset, cases in CASES.items():
        reached = {case.get("route") or case["passes"] for case in cases}
        assert {route.name for route in load_preset(preset).routes} <= reached
        assert any(case.get("same") or case.get("other") for case in cases)


@pytest.mark.parametrize(("preset", "case"), ALL.values(), ids=ALL)
def test_a_request_is_treated_as_what_it_is(preset: str, case: Case) -> None:
    request = made(case)

    route = route_table(Settings(presets=(preset,))).find(request)

    assert route.name == case.get("route", case.get("passes"))
    assert route.guards(request) is ("route" in case)


@pytest.mark.parametrize(("preset", "case"), ACTIONS.values(), ids=ACTIONS)
def test_an_action_has_its_key_and_its_copies(preset: str, case: Case) -> None:
    table = route_table(Settings(presets=(preset,)))
    request = made(case)
    route = table.find(request)

    first = examine(request, route.identity, user="run-42")

    assert first.identity.key == (case["key"].encode() if "key" in case else None)
    if "injects" in case:
        assert len(header_values(first.outgoing.headers, case["injects"])) == 1
    for change in case.get("same", []):
        copy = made(case, change)
        again = examine(copy, table.find(copy).identity, user="run-42")
        assert (again.identity.request_id, again.identity.fingerprint) == (
            first.identity.request_id,
            first.identity.fingerprint,
        )
        assert stable_credential(copy.headers, route.identity) == stable_credential(
            request.headers, route.identity
        )
    for change in case.get("other", []):
        another = made(case, change)
        assert (
            examine(another, table.find(another).identity, user="run-42").identity.request_id
            != first.identity.request_id
        )


@pytest.mark.parametrize(("special", "general"), [("google-ai", "gcp"), ("bedrock", "aws")])
def test_what_passes_alone_passes_beside_the_cloud_it_is_of(special: str, general: str) -> None:
    table = route_table(Settings(presets=(special, general)))

    for case in (*CASES[special], *CASES[general]):
        request = made(case)
        assert table.find(request).guards(request) is ("route" in case)
