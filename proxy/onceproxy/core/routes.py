"""Routes: which requests are actions, what makes two of them the same, and how they are treated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from onceproxy.core.contents import Content
from onceproxy.core.globs import REST, Index, host_tokens, path_tokens
from onceproxy.core.jsonrpc import HintsOf, no_hints
from onceproxy.core.matching import Match, Reading
from onceproxy.core.messages import DEFAULT_PORTS, Origin, Request
from onceproxy.core.policies import Mode, Policy
from onceproxy.core.rules import BodyForm, BodyRules, IdentityRules
from onceproxy.core.verdicts import PROTOCOLS, Verdict, judge

READ_ONLY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""The methods that are no mutations (RFC 9110 §9.2.1)."""

_STRICTNESS = {Mode.OFF: 0, Mode.OBSERVE: 1, Mode.ENFORCE: 2}

_GUARD, _NO_GUARD = Verdict(True, "guard"), Verdict(False, "guard")
_MUTATION, _READ = Verdict(True, "method"), Verdict(False, "method")

DEFAULT_NAME = "default"

REMEMBERED, SHORT = 2_000, 200  # paths whose routes are remembered, and bytes that such a path may have


@dataclass(frozen=True, slots=True)
class Route:
    """One rule. ``guard`` None: mutations are guarded and reads pass; else it says so for all requests.

    What a mutation is, the method says; for GraphQL and JSON-RPC the body of the request.

    ``client_mode``: a client may ask for a milder mode. ``origin`` says where the rule was written.
    ``upgrade_tls``: what is asked for by http is sent by https. ``client_certificate`` names who we are to
    upstreams.
    """

    name: str = DEFAULT_NAME
    match: Match = field(default_factory=Match)
    guard: bool | None = None
    identity: IdentityRules = field(default_factory=IdentityRules)
    policy: Policy = field(default_factory=Policy)
    client_mode: bool = False
    origin: str = ""
    upgrade_tls: bool = False
    client_certificate: str | None = None

    def asked_for(self, mode: Mode | None) -> Route:
        """Return the route as a client asks for it: in a milder mode, where the route lets it choose."""
        if mode is None or not self.client_mode or _STRICTNESS[mode] >= _STRICTNESS[self.policy.mode]:
            return self
        return replace(self, policy=replace(self.policy, mode=mode))

    def sent_as(self, request: Request) -> Request:
        """Return what goes upstream: with the route's client certificate, and by https where the route says
        so, from port 80 to 443 then.

        Its identity stays that of the request as it was asked for.
        """
        if self.client_certificate is not None:
            request = replace(request, client_certificate=self.client_certificate)
        origin = request.origin
        if not self.upgrade_tls or origin.scheme != "http":
            return request
        port = DEFAULT_PORTS["https"] if origin.port == DEFAULT_PORTS["http"] else origin.port
        return replace(request, origin=Origin("https", origin.host, port))

    def guards(self, request: Request) -> bool:
        """Say whether ``request`` is an action here; its body has to be there if ``needs_body``."""
        return self.verdict(request).action

    def needs_body(self, request: Request) -> bool:
        """Say whether only the body of ``request`` tells."""
        return self.verdict_by_method(request) is None

    def verdict(self, request: Request, hints: HintsOf = no_hints) -> Verdict:
        """Say whether ``request`` is an action here, and why. ``hints``: what servers say of their tools."""
        by_method = self.verdict_by_method(request)
        return judge(Content(request), self._body, hints) if by_method is None else by_method

    def verdict_by_method(self, request: Request) -> Verdict | None:
        """Say the same by the method alone; None where only the body tells."""
        if self.guard is not None:
            return _GUARD if self.guard else _NO_GUARD
        # By DELETE a client of MCP ends a session; no call of JSON-RPC is made so.
        if request.method in READ_ONLY or (
            self._body.form is BodyForm.JSONRPC and request.method == "DELETE"
        ):
            return _READ
        return None if self._body.form in PROTOCOLS else _MUTATION

    @property
    def _body(self) -> BodyRules:
        return self.identity.fingerprint.body


class RouteTable:
    """All routes, in the order in which they are tried. One without any rule takes what no other takes."""

    def __init__(self, default: Route, routes: tuple[Route, ...] = ()) -> None:
        self.default = default
        self.routes = routes
        self._index: Index[int] = Index()
        self._found: dict[tuple[str, bytes], tuple[int, ...]] = {}
        for number, route in enumerate(routes):
            for host in [glob.tokens for glob in route.match.hosts] or [(REST,)]:
                for path in [path_tokens(glob.encode("ascii")) for glob in route.match.paths] or [(REST,)]:
                    self._index.add(host, path, number)

    def find_by_head(self, request: Request) -> Route | None:
        """Return the first route that matches, or None if the body has to be read to tell."""
        numbers = self._numbers(request.origin.host, request.path)
        if not numbers:
            return self.default
        read = Reading(request)
        for number in numbers:
            route = self.routes[number]
            if route.match.fits_head(read):
                return None if route.match.needs_body else route
        return self.default

    def find(self, request: Request) -> Route:
        """Return the first route that matches a request whose body is there."""
        read = Reading(request)
        for route in self._candidates(read):
            if not route.match.needs_body or route.match.fits_body(read):
                return route
        return self.default

    def _candidates(self, read: Reading) -> Iterator[Route]:
        """Yield the routes whose conditions on the head are met, in their order."""
        for number in self._numbers(read.request.origin.host, read.request.path):
            if self.routes[number].match.fits_head(read):
                yield self.routes[number]

    def _numbers(self, host: str, path: bytes) -> tuple[int, ...]:
        """Return the routes whose globs match. Clients ask for the same few paths again and again."""
        numbers = self._found.get((host, path))
        if numbers is None:
            numbers = tuple(sorted(set(self._index.find(host_tokens(host), path_tokens(path)))))
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            if len(path) <= SHORT:
                self._found[host, path] = numbers
        return numbers
