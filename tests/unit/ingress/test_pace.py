"""How fast bodies must arrive, by a clock of the test's own."""

from __future__ import annotations

import pytest

from onceproxy.core.limits import Limit
from onceproxy.ingress.pace import Pace


class Clock:
    """Seconds, as the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_body_that_stands_still_is_given_up(clock: Clock) -> None:
    pace = Pace(30.0, 500, clock)
    pace.wait()
    clock.now = 29.9
    assert pace.look() is None
    clock.now = 30.0
    assert pace.look() is Limit.BODY_TIMEOUT


def test_a_body_that_trickles_is_given_up(clock: Clock) -> None:
    pace = Pace(30.0, 500, clock)
    for second in range(1, 31):
        pace.wait()
        clock.now = second
        assert pace.look() is (None if second < 30 else Limit.BODY_RATE)
        pace.take(1)


def test_each_stretch_of_time_is_judged_by_itself(clock: Clock) -> None:
    pace = Pace(30.0, 500, clock)
    pace.wait()
    pace.take(10_000_000)  # at once, and then no more
    pace.wait()
    clock.now = 30.0
    assert pace.look() is None
    clock.now = 60.0
    assert pace.look() is Limit.BODY_TIMEOUT


def test_fast_enough_is_fast_enough(clock: Clock) -> None:
    pace = Pace(30.0, 500, clock)
    for second in range(1, 100):
        pace.wait()
        clock.now = second
        assert pace.look() is None
        pace.take(520)


def test_the_time_in_which_nobody_reads_is_not_the_clients(clock: Clock) -> None:
    pace = Pace(30.0, 500, clock)
    pace.wait()
    pace.take(1)
    clock.now = 1000.0  # the upstream took so long to take it
    assert pace.look() is None
    pace.wait()
    clock.now = 1029.0
    assert pace.look() is None


def test_no_rate_is_asked_for_where_none_is_set(clock: Clock) -> None:
    pace = Pace(30.0, 0, clock)
    pace.wait()
    pace.take(1)
    pace.wait()
    clock.now = 31.0
    assert pace.look() is None
