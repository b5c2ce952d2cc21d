"""What finding a route costs with 1,000 routes, against one.

Half of the routes differ in host, half in path; a tenth has globs in the middle. The request matches the last
route of each table, which is the worst place where routes are tried one by one.
"""

from __future__ import annotations

import time

from benchmarks.rounds import Measure, Spread, alternate
from benchmarks.tables import Figure, Found, table_of
from onceproxy.core.matching import HostGlob, Match
from onceproxy.core.messages import Origin, Request
from onceproxy.core.routes import Route, RouteTable

COUNTS = (1, 10, 100, 1_000)
CALLS = 200

POST = frozenset({"POST"})
LAST = Route("last", Match((HostGlob.parse("api.example.com"),), ("/v1/*/refund",), POST))
REQUEST = Request("POST", Origin("https", "api.example.com", 443), b"/v1/ch_1/refund?expand=all")


def other(number: int) -> Route:
    """Return a route that the request does not match."""
    if number % 2:
        return Route(f"r{number}", Match((HostGlob.parse(f"*.tenant{number}.example.com"),), ("/**",), POST))
    path = f"/v1/things{number}/*/cancel" if number % 10 == 0 else f"/v1/things{number}"
    return Route(f"r{number}", Match((HostGlob.parse("api.example.com"),), (path,), POST))


def looking_up(count: int) -> Measure:
    """Measure the microseconds that one look-up takes in a table of so many routes."""
    table = RouteTable(Route(), (*(other(number) for number in range(count - 1)), LAST))
    assert table.find_by_head(REQUEST) is LAST

    async def measure(seconds: float) -> float:
        calls, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            for _ in range(CALLS):
                table.find_by_head(REQUEST)
            calls += CALLS
        return passed / calls * 1e6

    return measure


async def measure() -> Found:
    costs: dict[str, Spread] = await alternate(
        {str(count): looking_up(count) for count in COUNTS}, rounds=9, seconds=0.2
    )
    return Found(
        (Figure.of("finding a route among 1,000 / among 1", costs["1000"] / costs["1"]),),
        (table_of("Microseconds to find a route:", "routes", COUNTS, {"µs": list(costs.values())}),),
    )
