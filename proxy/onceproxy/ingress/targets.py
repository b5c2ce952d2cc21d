"""Request targets: from the bytes of the request line to an origin and a path (RFC 9112 §3.2).

The library's own URL is not used: it folds what must be refused (userinfo, fragments, other schemes), and a
receipt's identity must come from what the client wrote.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from onceproxy.core.messages import DEFAULT_PORTS, Origin

_TARGET = re.compile(rb"[\x21-\x7e\x80-\xff]+")
# Also spelt as an escape, and with parameters, which some servers cut off before they look at the dots.
_DOTS = re.compile(rb"/(?:\.|%2[eE]){1,2}(?:;[^/?]*)?(?:[/?]|$)")
_BEFORE_PATH = re.compile(rb"[A-Za-z]+://[^/?#]*")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]:@/?#]+)(?::(?P<port>[0-9]{0,5}))?")

# host and port of RFC 3986 §3.2, without user information; both may be empty. No comma: it joins two lines.
_HOST_FIELD = re.compile(rb"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]*)(:[0-9]*)?")


class BadTarget(ValueError):
    """A request target can't be used; the text says why and what would be right."""


def parse_absolute(target: bytes) -> tuple[Origin, bytes]:
    """Split ``http://host:port/path?query`` into the origin and the target in origin form.

    Raises:
        BadTarget: another scheme, userinfo, a fragment, a bad host or port, or bytes that may not be there.
    """
    match = _BEFORE_PATH.match(target)
    if match is None:
        raise BadTarget("the target must start with http:// or https://")
    origin = _origin(match[0])
    return origin, origin_form(target[match.end() :] or b"/")


@lru_cache(maxsize=1024)  # as below
def _origin(text: bytes) -> Origin:
    scheme, _, authority = text.partition(b"://")
    name = scheme.lower().decode("latin-1")
    if name not in DEFAULT_PORTS:
        raise BadTarget("the target must start with http:// or https://")
    return parse_authority(authority, name)


def is_host_field(value: bytes) -> bool:
    """Say whether ``value`` can be that of a Host header at all (RFC 9110 §7.2)."""
    return _HOST_FIELD.fullmatch(value) is not None


@lru_cache(maxsize=1024)  # names that are no names, which may be long, are refused and so not kept
def parse_authority(authority: bytes, scheme: str, *, port_needed: bool = False) -> Origin:
    """Read ``host:port``; the port may be left out unless ``port_needed`` (CONNECT, RFC 9110 §9.3.6).

    Raises:
        BadTarget: userinfo, a bad host, or a port that is no number from 1 to 65535.
    """
    text = authority.decode("latin-1")
    if "@" in text:
        raise BadTarget("the target may not hold a user name or password")
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise BadTarget("the target has no valid host and port")
    port_text = match["port"]
    if not port_text and (port_needed or port_text == ""):
        raise BadTarget("the target needs a port, as in example.com:443")
    port = int(port_text) if port_text else DEFAULT_PORTS[scheme]
    if not 1 <= port <= 65535:
        raise BadTarget(f"{port} is no port: ports go from 1 to 65535")
    return Origin(scheme, _host(match["host"]), port)


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return ipaddress.IPv6Address(text[1:-1]).compressed
        except ValueError:
            raise BadTarget(f"{text} is no IPv6 address") from None
    host = text.lower()
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadTarget("the target's host is no valid name; international names must be in their xn-- form")
    return _plain_numeral(host, labels)


def _plain_numeral(host: str, labels: list[str]) -> str:
    """Refuse the odd spellings of IPv4 addresses (2130706433, 0177.0.0.1, 127.1) that resolvers take."""
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise BadTarget(f"{host} is no IPv4 address in its usual form") from None
    return host


def origin_form(target: bytes) -> bytes:
    """Check a target in origin form (``/path?query``) and return it; an empty path before a query is ``/``.

    A path with dot segments (RFC 3986 §3.3) would leave a mount's base, and what a route's pattern matched,
    at any upstream that resolves them; clients resolve their own before they send.

    Raises:
        BadTarget: a fragment, a space, a control character, or a dot segment.
    """
    if target.startswith(b"?"):
        target = b"/" + target
    if b"#" in target:
        raise BadTarget("the target may not hold a fragment (#)")
    if not target.startswith(b"/") or not _TARGET.fullmatch(target):
        raise BadTarget("the target must start with / and hold no spaces or control characters")
    if (b"/." in target or b"/%2" in target) and _DOTS.search(target.partition(b"?")[0]):
        raise BadTarget("the target's path may not hold . or .. as a segment; send it resolved")
    return target


@dataclass(frozen=True, slots=True)
class Mount:
    """A path prefix of ours that stands for an upstream (``/stripe`` for ``https://api.stripe.com/v1``).

    ``prefix`` starts with a slash and does not end with one; ``base`` is the upstream's path likewise, or
    empty.
    """

    prefix: bytes
    origin: Origin
    base: bytes

    def resolve(self, target: bytes) -> bytes | None:
        """Return the upstream's target for ``target``, or None if it is not under the prefix."""
        path, mark, query = target.partition(b"?")
        if path != self.prefix and not path.startswith(self.prefix + b"/"):
            return None
        return (self.base + path[len(self.prefix) :] or b"/") + mark + query


def parse_mounts(mounts: dict[str, str]) -> tuple[Mount, ...]:
    """Return the mounts of a configuration, the longest prefix first.

    Raises:
        BadTarget: an upstream's URL can't be used.
    """
    parsed = []
    for prefix, url in mounts.items():
        origin, target = parse_absolute(url.encode("utf-8"))
        parsed.append(Mount(prefix.encode("utf-8"), origin, target.rstrip(b"/")))
    return tuple(sorted(parsed, key=lambda mount: len(mount.prefix), reverse=True))
