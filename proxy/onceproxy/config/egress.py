"""Where requests may go, as it is written and as the core takes it."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from onceproxy.config.fields import Many, Section
from onceproxy.config.texts import check_host
from onceproxy.core.addresses import IPNetwork, is_odd_numeral
from onceproxy.core.egress import EgressPolicy, Entry
from onceproxy.core.globs import host_tokens

_NETWORK = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+(?:/[0-9]+)?)\]|(?P<four>[0-9.]+(?:/[0-9]+)?))(?::(?P<port>[0-9]+))?"
)
_BARE_SIX = re.compile(r"[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:/[0-9]+)?")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")

_PORT_WORDS = "it must be a port from 1 to 65535, or a range as in 8000-8999"


def parse_entry(text: str) -> Entry:
    """Read a glob of hosts, an IP address or a network, with a port or without.

    Raises:
        ValueError: it is none of them; the text says what would be right.
    """
    match = _NETWORK.fullmatch(text)
    if match is not None:
        return Entry(network=_network(match["six"] or match["four"]), port=_port(match["port"]))
    if _BARE_SIX.fullmatch(text):
        return Entry(network=_network(text))
    if "[" in text:
        raise ValueError("in brackets must be an IPv6 address or network, as in [fd00::1]:8443")
    check_host(text)
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, ""
    if is_odd_numeral(host):
        raise ValueError("it must be a name, or an address or network in its usual form, as in 10.0.0.0/8")
    return Entry(hosts=host_tokens(host), port=_port(port))


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not 1 <= int(text) <= 65535:
        raise ValueError("the port must be a number from 1 to 65535")
    return int(text)


def _network(text: str) -> IPNetwork:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(
            "it must be an address or a network whose host bits are 0, as in 10.1.0.0/16, fd00::/8 or "
            "[fd00::1]:8443"
        ) from None


def parse_ports(value: int | str) -> range:
    """Read a port, or a range of them as in ``8000-8999``.

    Raises:
        ValueError: it is neither.
    """
    match = _RANGE.fullmatch(str(value))
    if match is None:
        raise ValueError(_PORT_WORDS)
    first, last = int(match[1]), int(match[2] or match[1])
    if not 1 <= first <= last <= 65535:
        raise ValueError(_PORT_WORDS)
    return range(first, last + 1)


def _check_entry(text: str) -> str:
    parse_entry(text)
    return text


def _check_ports(value: int | str) -> int | str:
    parse_ports(value)
    return value


EgressEntry = Annotated[str, AfterValidator(_check_entry)]
Ports = Annotated[int | str, AfterValidator(_check_ports)]


class Egress(Section):
    """Where requests may go. It is judged by the address that is dialled, not by the name."""

    allow: Many[EgressEntry] = Field(
        (), description="Host globs, addresses and networks that may be reached; none: all that are public."
    )
    deny: Many[EgressEntry] = Field((), description="Those that may not, whatever else allows them.")
    private_networks: Literal["auto", "allow", "deny"] = Field(
        "auto", description="Loopback, RFC 1918, ULA and CGNAT; auto: while only this machine can reach us."
    )
    ports: Many[Ports] = Field(
        (80, 443, "1024-65535"), description="Ports that HTTP may go to; ranges as in 8000-8999."
    )
    tunnel_ports: Many[Ports] = Field((443,), description="Ports that opaque tunnels may go to.")


def egress_policy(section: Egress, *, at_home: bool, own_ports: frozenset[int]) -> EgressPolicy:
    """Return the policy. ``at_home``: only this machine can reach the proxy."""
    auto = section.private_networks == "auto" and at_home
    return EgressPolicy(
        allow=tuple(map(parse_entry, section.allow)),
        deny=tuple(map(parse_entry, section.deny)),
        private=auto or section.private_networks == "allow",
        at_home=auto,
        ports=tuple(map(parse_ports, section.ports)),
        tunnel_ports=tuple(map(parse_ports, section.tunnel_ports)),
        own_ports=own_ports,
    )
