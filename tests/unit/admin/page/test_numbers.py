"""The numbers of the overview and of the routes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest

from onceproxy.admin.page.overview import by_minute, tiles
from onceproxy.admin.page.routes import route_lines
from onceproxy.admin.page.samples import KEPT, Minute, Reading, Samples, reading_of
from onceproxy.admin.requests import RequestCounts
from onceproxy.core.matching import Condition, HostGlob, Match
from onceproxy.core.policies import InDoubt, Mode, Policy
from onceproxy.core.routes import Route
from onceproxy.core.states import State
from onceproxy.store.records import RouteCount, SliceCount

NOW = datetime(2026, 11, 25, 8, 0, 30, tzinfo=UTC)


class Counting:
    """The page of a proxy that counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.counts = RequestCounts(self._registry)

    def page(self) -> bytes:
        return generate_latest(self._registry)

    def execute(self, claim: float, complete: float) -> None:
        self.counts.request("charges", "execute", "completed", 1.0)
        self.counts.claim_took(claim)
        self.counts.complete_took(complete)

    def replay(self) -> None:
        self.counts.request("charges", "replay", "completed", 0.1)
        self.counts.claim_took(0.5)


def test_replays_and_what_the_guard_added_are_read_from_the_metrics() -> None:
    counting = Counting()
    counting.execute(0.25, 0.5)
    counting.replay()

    assert reading_of(counting.page().decode()) == Reading(1.0, ((0.75, 2.0), (0.5, 1.0)))
    assert reading_of("") == Reading()


def test_each_minute_has_what_was_counted_in_it() -> None:
    counting = Counting()
    samples = Samples(counting)
    counting.replay()
    samples.turn()
    counting.execute(0.25, 0.5)
    counting.execute(0.75, 0.5)

    assert samples.minutes() == [Minute(1.0, None), Minute(0.0, 1.0)]


def test_an_hour_is_kept() -> None:
    samples = Samples(Counting())
    for _ in range(KEPT + 5):
        samples.turn()

    assert len(samples.minutes()) == KEPT


def test_slices_are_in_their_minutes_and_older_ones_are_not() -> None:
    slices = [
        SliceCount(NOW.replace(second=0), State.COMPLETED, 3),
        SliceCount(NOW.replace(second=0), State.IN_DOUBT, 1),
        SliceCount(NOW.replace(second=0) - timedelta(minutes=59), State.COMPLETED, 7),
        SliceCount(NOW.replace(second=0) - timedelta(minutes=60), State.COMPLETED, 9),
    ]

    counts = by_minute(slices, NOW)

    assert (len(counts), counts[-1], counts[0], sum(counts)) == (60, 4, 7, 11)


def test_the_numbers_of_the_overview() -> None:
    slices = [SliceCount(NOW, state, 2) for state in State]
    shown = tiles(slices, [Minute(5, 0.002), Minute(1, None)], 1234, 90.0, NOW)

    assert [(tile.title, tile.value, tile.some) for tile in shown] == [
        ("Executions", "8", False),
        ("Replays", "6", False),
        ("In doubt", "1,234", True),
        ("Latency added", "2.0", False),
    ]
    assert shown[2].remark == "the oldest for 1 min"


def test_where_nothing_happened_nothing_is_claimed() -> None:
    shown = tiles([], [Minute(0, None)], 0, 0.0, NOW)

    assert [tile.value for tile in shown] == ["0", "0", "0", "–"]
    assert not any(tile.some for tile in shown)


def test_routes_are_in_their_order_and_those_of_the_past_come_last() -> None:
    routes = (
        Route(
            "charges",
            Match(
                hosts=(HostGlob.parse("api.example.com:8443"), HostGlob.parse("*.example.org")),
                paths=("/v1/*",),
                methods=frozenset({"POST", "PUT"}),
                headers=(Condition("X-A", ("b",)),),
            ),
            policy=Policy(in_doubt=InDoubt.PROBE, mode=Mode.OBSERVE),
        ),
        Route("webhooks", guard=False),
        Route("all", guard=True),
        Route(),
    )
    counts = [
        RouteCount("gone", State.COMPLETED, 1, NOW),
        RouteCount("charges", State.COMPLETED, 5, NOW),
        RouteCount("charges", State.IN_DOUBT, 2, NOW),
    ]

    lines = route_lines(routes, counts)

    assert [(one.name, one.mode, one.in_doubt, one.hits, one.configured) for one in lines] == [
        ("charges", "observe", "probe", 7, True),
        ("webhooks", "not guarded", "refuse", 0, True),
        ("all", "all guarded", "refuse", 0, True),
        ("default", "enforce", "refuse", 0, True),
        ("gone", "–", "–", 1, False),
    ]
    assert lines[0].matches == "POST PUT api.example.com:8443 *.example.org /v1/* and 1 more condition"
    assert lines[3].matches == "everything else"
