"""Routes with what they match and how often they were hit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from onceproxy.core.globs import REST
from onceproxy.core.matching import HostGlob, Match
from onceproxy.core.policies import Mode
from onceproxy.core.routes import Route
from onceproxy.core.states import State
from onceproxy.store.records import RouteCount


@dataclass(slots=True)
class RouteLine:
    """A line of the list. One that is not ``configured`` has receipts of a former configuration."""

    name: str
    matches: str = "–"
    mode: str = "–"
    in_doubt: str = "–"
    configured: bool = False
    counts: dict[State, int] = field(default_factory=dict)

    @property
    def hits(self) -> int:
        """All of its receipts."""
        return sum(self.counts.values())


def route_lines(routes: Iterable[Route], counts: Iterable[RouteCount]) -> list[RouteLine]:
    """Return the configured routes in their order, and those that only receipts know after them."""
    lines = {route.name: _line(route) for route in routes}
    for one in counts:
        line = lines.setdefault(one.route, RouteLine(one.route))
        line.counts[one.state] = line.counts.get(one.state, 0) + one.receipts
    return list(lines.values())


def _line(route: Route) -> RouteLine:
    if route.guard is False:
        mode = "not guarded"
    else:
        mode = "all guarded" if route.guard and route.policy.mode is Mode.ENFORCE else route.policy.mode.value
    return RouteLine(route.name, matches(route.match), mode, route.policy.in_doubt.value, configured=True)


def matches(match: Match) -> str:
    """Say what a route matches, most telling first; what else it asks for is only counted."""
    parts = [
        " ".join(sorted(match.methods)),
        " ".join(map(_host, match.hosts)),
        " ".join(match.paths),
        " ".join(match.media_types),
    ]
    more = len(match.headers) + len(match.query) + len(match.form) + len(match.json)
    if more:
        parts.append(f"and {more} more condition{'s' if more > 1 else ''}")
    return " ".join(part for part in parts if part) or "everything else"


def _host(glob: HostGlob) -> str:
    if glob.tokens == (REST,):
        return "*"
    host = ".".join(reversed(glob.tokens))
    return host if glob.port is None else f"{host}:{glob.port}"
