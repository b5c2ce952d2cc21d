"""What finding a route costs with 1,000 routes, against one: `python benchmarks/routes.py`.

Half of the routes differ in host, half in path; a tenth has globs in the middle. The request matches the last
route of each table, which is the worst place where routes are tried one by one.
"""

from __future__ import annotations

import statistics
import timeit

from onceproxy.core.matching import HostGlob, Match
from onceproxy.core.messages import Origin, Request
from onceproxy.core.routes import Route, RouteTable

ROUTES = 1_000
CALLS = 2_000
ROUNDS = 15

POST = frozenset({"POST"})
LAST = Route("last", Match((HostGlob.parse("api.example.com"),), ("/v1/*/refund",), POST))
REQUEST = Request("POST", Origin("https", "api.example.com", 443), b"/v1/ch_1/refund?expand=all")


def other(number: int) -> Route:
    """Return a route that the request does not match."""
    if number % 2:
        return Route(f"r{number}", Match((HostGlob.parse(f"*.tenant{number}.example.com"),), ("/**",), POST))
    path = f"/v1/things{number}/*/cancel" if number % 10 == 0 else f"/v1/things{number}"
    return Route(f"r{number}", Match((HostGlob.parse("api.example.com"),), (path,), POST))


def cost(count: int) -> float:
    """Return the microseconds that one look-up takes in a table of so many routes."""
    table = RouteTable(Route(), (*(other(number) for number in range(count - 1)), LAST))
    assert table.find_by_head(REQUEST) is LAST
    rounds = timeit.repeat(lambda: table.find_by_head(REQUEST), number=CALLS, repeat=ROUNDS)
    return statistics.median(rounds) / CALLS * 1e6


if __name__ == "__main__":
    one, many = cost(1), cost(ROUTES)
    print(f"1 route: {one:.1f} µs; {ROUTES:,} routes: {many:.1f} µs; ratio {many / one:.2f}")
