"""A client's request, checked and turned into the one that will be sent."""

from __future__ import annotations

from typing import NamedTuple, cast

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_parser import RawRequestMessage

from onceproxy.core.forwards import COUNTED, BadForwards, forwards_left, one_less
from onceproxy.core.hygiene import UNSTRIPPABLE, connection_options, forwardable
from onceproxy.core.limits import OverLimit
from onceproxy.core.messages import Origin, RawHeaders, Request, has_none, header_values
from onceproxy.core.policies import Mode
from onceproxy.core.problems import Problem, ProblemType, overloaded
from onceproxy.core.users import Login
from onceproxy.core.via import via_line, went_through
from onceproxy.ingress.client_connection import ClientConnection, Tunnel
from onceproxy.ingress.targets import (
    BadTarget,
    Mount,
    is_host_field,
    origin_form,
    parse_absolute,
    parse_authority,
)

# Protocols to switch to that carry HTTP requests, which would go past the guard. Some clients ask for h2c
# with each request; they do without.
_CARRY_HTTP = (b"h2", b"http/", b"tls/")

_SPOKEN = {HttpVersion11: "1.1", HttpVersion10: "1.0"}

# What has to be looked into where it is there. Most requests have none of these.
_SPECIAL = frozenset(
    {
        *(b"connection", b"expect", b"transfer-encoding", b"upgrade", b"via"),
        *(b"onceproxy-action", b"onceproxy-mode"),
    }
)


class Refused(Exception):
    """A request that goes no further; ``problem`` is the answer, and the connection closes behind it.

    ``detail`` says what would be right; that nothing was sent is added here.
    """

    def __init__(self, kind: ProblemType, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(kind, f"{detail} Nothing was sent.", retry_after=retry_after)


def problem_of(refused: Refused | OverLimit) -> Problem:
    """Return what a client is told that goes no further."""
    return overloaded(refused) if isinstance(refused, OverLimit) else refused.problem


class Incoming(NamedTuple):
    """A request's head as it will go upstream (its body still to be read), and who sends it.

    ``action`` is the value of ``Onceproxy-Action``. ``upgrade`` is the protocol that the client wants to
    switch to, where that is relayed. ``mode`` is what ``Onceproxy-Mode`` asks for, allowed or not.
    ``for_us``: it ends here.
    """

    request: Request
    user: str | None
    action: bytes | None
    upgrade: bytes | None
    mode: Mode | None = None
    for_us: bool = False


def head_of(request: web.BaseRequest) -> RawRequestMessage:
    """Return a request's head as the parser read it."""
    return cast(RawRequestMessage, cast(ClientConnection, request.protocol).head)


def raw_headers(request: web.BaseRequest) -> RawHeaders:
    """Return the header lines as they were received."""
    return tuple(request.raw_headers)


def raw_target(request: web.BaseRequest) -> bytes:
    """Return the request target as it was received."""
    return head_of(request).path.encode("utf-8", "surrogateescape")


def spoken(request: web.BaseRequest) -> str:
    """Return the version of HTTP that a request came in: 1.0 or 1.1.

    Raises:
        Refused: it is another one. The parser takes 0.9 and 2.0 as well.
    """
    version = _SPOKEN.get(request.version)
    if version is None:
        raise Refused(ProblemType.BAD_REQUEST, "Only HTTP/1.1 and HTTP/1.0 are spoken here; use one of them.")
    return version


def read_connect(request: web.BaseRequest, login: Login, via: bytes | None = None) -> Tunnel:
    """Check a CONNECT request of ``login``; ``via`` as in ``read_request``.

    Raises:
        Refused: a target that is no ``host:port``, a body, or a loop.
    """
    headers = raw_headers(request)
    spoken(request)
    _check_loop(headers, via)
    if header_values(headers, "content-length") or header_values(headers, "transfer-encoding"):
        raise Refused(
            ProblemType.BAD_REQUEST, "A CONNECT request can't have a body (RFC 9110 §9.3.6); leave it out."
        )
    try:
        origin = parse_authority(raw_target(request), "https", port_needed=True)
    except BadTarget as error:
        raise Refused(ProblemType.BAD_REQUEST, f"CONNECT: {error}.") from None
    return Tunnel(origin, login)


def read_request(
    request: web.BaseRequest, mounts: tuple[Mount, ...], login: Login, via: bytes | None = None
) -> Incoming:
    """Check the head of a request of ``login``: where it goes, and what of it is forwarded.

    ``via`` is our name on the way of a message, where we have one.

    Raises:
        Refused: it can't or may not be forwarded.
    """
    headers = raw_headers(request)
    version = spoken(request)
    if plain := has_none(headers, _SPECIAL):
        _check_host(headers)
    else:
        _check_headers(request, headers)
        _check_loop(headers, via)
    left = _forwards_left(request, headers) if request.method in COUNTED else None
    tunnel = cast(ClientConnection, request.protocol).tunnel
    try:
        origin, target = _destination(request, headers, mounts, tunnel)
    except BadTarget as error:
        raise Refused(ProblemType.BAD_REQUEST, f"The request target can't be used: {error}.") from None
    forwarded = forwardable(headers)
    if left:
        forwarded = one_less(forwarded, left)
    if via is not None:
        forwarded += via_line(version, via)
    outgoing = Request(request.method, origin, target, forwarded)
    if plain:
        return Incoming(outgoing, login.user, None, None, None, for_us=left == 0)
    actions = header_values(headers, "onceproxy-action")
    if len(actions) > 1:
        raise Refused(ProblemType.BAD_REQUEST, "Onceproxy-Action is there twice; send it once.")
    upgrade = _upgrade(request, headers)
    action = actions[0] if actions else None
    return Incoming(outgoing, login.user, action, upgrade, _mode(headers), for_us=left == 0)


def _mode(headers: RawHeaders) -> Mode | None:
    values = header_values(headers, "onceproxy-mode")
    if not values:
        return None
    try:
        [value] = values
        return Mode(value.strip().decode("latin-1"))
    except ValueError:
        raise Refused(
            ProblemType.BAD_REQUEST, "Onceproxy-Mode must be observe or off, and be there once."
        ) from None


def _check_headers(request: web.BaseRequest, headers: RawHeaders) -> None:
    if stripped := connection_options(headers) & UNSTRIPPABLE:
        names = ", ".join(sorted(name.decode("ascii") for name in stripped))
        raise Refused(ProblemType.BAD_REQUEST, f"Connection may not nominate {names}; leave that out.")
    _check_host(headers)
    codings = header_values(headers, "transfer-encoding")
    if codings and request.version < (1, 1):
        raise Refused(
            ProblemType.BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding (RFC 9112 §6.1); state the length."
        )
    if any(coding.strip().lower() != b"chunked" for coding in codings):
        raise Refused(
            ProblemType.UNSUPPORTED,
            "The only transfer coding understood is chunked; send the body in that, or state its length.",
        )
    expectations = header_values(headers, "expect")
    if any(expectation.strip().lower() != b"100-continue" for expectation in expectations):
        raise Refused(
            ProblemType.EXPECTATION_FAILED,
            "The only expectation that can be met is 100-continue; leave any other out.",
        )


def _check_host(headers: RawHeaders) -> None:
    for host in header_values(headers, "host"):
        if not is_host_field(host):
            raise Refused(ProblemType.BAD_REQUEST, "The Host header is no host and port (RFC 9112 §3.2).")


def _check_loop(headers: RawHeaders, via: bytes | None) -> None:
    if via is not None and went_through(headers, via):
        raise Refused(
            ProblemType.LOOP_DETECTED,
            "The request went through this proxy before (Via). Look at where its host, or the mount's "
            "upstream, leads: to this proxy.",
        )


def _forwards_left(request: web.BaseRequest, headers: RawHeaders) -> int | None:
    if request.method == "TRACE" and request.can_read_body:
        raise Refused(ProblemType.BAD_REQUEST, "A TRACE can't have a body (RFC 9110 §9.3.8); leave it out.")
    try:
        return forwards_left(request.method, headers)
    except BadForwards as error:
        raise Refused(ProblemType.BAD_REQUEST, f"{error}.") from None


def _destination(
    request: web.BaseRequest, headers: RawHeaders, mounts: tuple[Mount, ...], tunnel: Tunnel | None
) -> tuple[Origin, bytes]:
    """Return where the request goes. An absolute target wins over Host (RFC 9112 §3.2.2)."""
    target = raw_target(request)
    if tunnel is not None:
        return tunnel.origin, _inside(tunnel.origin, request.method, target, headers)
    if target.startswith(b"/"):
        for mount in mounts:
            if (mounted := mount.resolve(origin_form(target))) is not None:
                return mount.origin, mounted
        raise BadTarget(
            "it names no host, and no mount has this path; use this address as HTTP_PROXY, "
            "or add the path under mounts"
        )
    return _absolute(request.method, target)


def _absolute(method: str, target: bytes) -> tuple[Origin, bytes]:
    """Split an absolute target; OPTIONS without any path asks about the whole server (RFC 9112 §3.2.4)."""
    origin, path = parse_absolute(target)
    if method == "OPTIONS" and target.count(b"/") == 2 and b"?" not in target:
        path = b"*"
    return origin, path


def _inside(origin: Origin, method: str, target: bytes, headers: RawHeaders) -> bytes:
    """Return the target of a request inside a tunnel, which may speak of no other host than CONNECT did."""
    if not target.startswith(b"/") and target != b"*":
        inner, target = _absolute(method, target)
        if inner != origin:
            raise BadTarget(f"inside a tunnel to {origin.host_header} only that host can be asked")
    for host in header_values(headers, "host"):
        if parse_authority(host, origin.scheme) != origin:
            raise BadTarget(f"the Host header is not {origin.host_header}, to which the tunnel was opened")
    return target if target == b"*" else origin_form(target)


def _upgrade(request: web.BaseRequest, headers: RawHeaders) -> bytes | None:
    """Return the protocol that the upstream is asked to switch to; others are ignored (RFC 9110 §7.8)."""
    if not head_of(request).upgrade or request.version < (1, 1):
        return None
    for wanted in b",".join(header_values(headers, "upgrade")).split(b","):
        protocol = wanted.strip()
        if protocol and not protocol.lower().startswith(_CARRY_HTTP):
            if request.method != "GET":
                raise Refused(
                    ProblemType.UNSUPPORTED,
                    "Only a GET can be upgraded to another protocol; leave Upgrade out.",
                )
            return protocol
    return None
