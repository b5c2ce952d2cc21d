"""Routes: which requests are actions, what makes two of them the same, and how they are treated."""

from __future__ import annotations

from dataclasses import dataclass, field

from onceproxy.core.messages import Request
from onceproxy.core.policies import Policy
from onceproxy.core.rules import IdentityRules

READ_ONLY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""The methods that are no mutations (RFC 9110 §9.2.1)."""

DEFAULT_NAME = "default"


@dataclass(frozen=True, slots=True)
class Route:
    """One rule. ``guard`` None: mutations are guarded and reads pass; else it says so for all methods."""

    name: str = DEFAULT_NAME
    guard: bool | None = None
    identity: IdentityRules = field(default_factory=IdentityRules)
    policy: Policy = field(default_factory=Policy)

    def guards(self, request: Request) -> bool:
        """Say whether ``request`` is an action here."""
        return request.method not in READ_ONLY if self.guard is None else self.guard


class RouteTable:
    """All routes, in the order in which they are tried. One without any rule takes what no other takes."""

    def __init__(self, default: Route) -> None:
        self._default = default

    def find(self, request: Request) -> Route:
        """Return the first route that matches; the request's body may still be missing."""
        return self._default
