"""Where requests may go: one decision, made on the very address that is dialled, and named.

A name is judged before it is looked up, and each address that it has before a connection is made to it. What
a host's name promises is worth nothing: whoever owns the name says where it leads, and may say something else
a moment later (DNS rebinding).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onceproxy.core.addresses import (
    AddressKind,
    IPAddress,
    IPNetwork,
    Judged,
    excuses,
    is_odd_numeral,
    kinds_of,
    parse_address,
    plain,
)
from onceproxy.core.globs import Tokens, host_tokens, tokens_match


class Way(StrEnum):
    """What goes there: HTTP that is made here, or bytes of a client that nobody here reads."""

    HTTP = "http"
    TUNNEL = "tunnel"


class Rule(StrEnum):
    """The rule that decided. Its value is what logs, problems and metrics say."""

    ALLOWED = "allowed"
    ODD_NUMERAL = "odd-numeral"
    PORT = "port"
    DENY_LIST = "deny-list"
    ALLOW_LIST = "allow-list"
    OWN_PORT = "own-port"
    PRIVATE = "private-network"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    METADATA = "metadata"
    MULTICAST = "multicast"
    RESERVED = "reserved"


_OF_KIND = {
    AddressKind.PRIVATE: Rule.PRIVATE,
    AddressKind.LOOPBACK: Rule.LOOPBACK,
    AddressKind.LINK_LOCAL: Rule.LINK_LOCAL,
    AddressKind.METADATA: Rule.METADATA,
    AddressKind.MULTICAST: Rule.MULTICAST,
    AddressKind.RESERVED: Rule.RESERVED,
}
OF_ADDRESSES = frozenset(rule.value for rule in _OF_KIND.values()) | {Rule.OWN_PORT.value}
"""The rules that are about where an address is."""

INSIDE = frozenset({AddressKind.PRIVATE, AddressKind.LOOPBACK})
"""What ``private_networks`` is about. All other kinds that are not public have to be allowed one by one."""

_WHY = {
    Rule.ODD_NUMERAL: "a number that is no IP address in its usual form is no host; write the address",
    Rule.PORT: "its port is not among {ports}; add it there if it is meant",
    Rule.DENY_LIST: "egress.deny names it",
    Rule.ALLOW_LIST: "it is not in egress.allow; add it there if it is meant",
    Rule.OWN_PORT: "that is this proxy itself",
    Rule.PRIVATE: "it is in a private network; name its addresses in egress.allow if it is meant, or set "
    "egress.private_networks: allow",
    Rule.LOOPBACK: "it is the proxy's own machine; name its address in egress.allow if it is meant, or set "
    "egress.private_networks: allow",
    Rule.LINK_LOCAL: "it is a link-local address; name it in egress.allow if it is meant",
    Rule.METADATA: "it is a metadata service, which hands out credentials; name its very address in "
    "egress.allow if it is meant",
    Rule.MULTICAST: "it is a multicast address, where no server is",
    Rule.RESERVED: "it is a reserved address; name it in egress.allow if it is meant",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided, and by which rule. ``maybe``: only the addresses of the name will tell."""

    rule: Rule
    words: str = ""
    maybe: bool = False

    @property
    def allowed(self) -> bool:
        """Whether it may go on."""
        return self.rule is Rule.ALLOWED


ALLOWED = Verdict(Rule.ALLOWED)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list: a glob of host names or a network, and a port where only one is meant."""

    hosts: Tokens | None = None
    network: IPNetwork | None = None
    port: int | None = None

    def names(self, host: str, port: int) -> bool:
        """Say whether it is a glob that a host's name fits."""
        fits = self.hosts is not None and tokens_match(self.hosts, host_tokens(host))
        return fits and self.port in (None, port)

    def holds(self, address: IPAddress, port: int) -> bool:
        """Say whether it is a network that an address is in."""
        return self.network is not None and address in self.network and self.port in (None, port)


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Where requests may go.

    ``private``: private networks and loopback may be reached. ``at_home``: so they may because nobody but
    this machine can reach the proxy, and then no port of loopback is worth forbidding: whoever asks can go
    there without us. ``ports`` are for HTTP, ``tunnel_ports`` for opaque bytes. ``own_ports`` are those that
    this proxy listens on.
    """

    allow: tuple[Entry, ...] = ()
    deny: tuple[Entry, ...] = ()
    private: bool = False
    at_home: bool = False
    ports: tuple[range, ...] = (range(80, 81), range(443, 444), range(1024, 65536))
    tunnel_ports: tuple[range, ...] = (range(443, 444),)
    own_ports: frozenset[int] = frozenset()

    def judge_name(self, host: str, port: int, way: Way) -> Verdict:
        """Judge a host before it is looked up. What this allows, its addresses may still forbid."""
        if is_odd_numeral(host):
            return self._denied(Rule.ODD_NUMERAL, way)
        if any(entry.names(host, port) for entry in self.deny):
            return self._denied(Rule.DENY_LIST, way)
        if (address := parse_address(host)) is not None:
            return self.judge_address(host, address, port, way)
        networks = [entry for entry in self.allow if entry.network is not None and entry.port in (None, port)]
        if self.allow and not networks and not any(entry.names(host, port) for entry in self.allow):
            return self._denied(Rule.ALLOW_LIST, way)
        named_with_port = any(entry.port == port for entry in self.allow)
        if not (self.at_home or named_with_port or self._port_is_open(port, way)):
            return self._denied(Rule.PORT, way)
        return Verdict(Rule.ALLOWED, maybe=True)

    def judge_address(
        self, host: str, address: IPAddress, port: int, way: Way, *, here: bool = False
    ) -> Verdict:
        """Judge one address of a host whose name was allowed. ``here``: it is one of this machine."""
        found = kinds_of(address)
        if any(entry.holds(one, port) for entry in self.deny for one in _spellings(address)):
            return self._denied(Rule.DENY_LIST, way)
        if port in self.own_ports and (here or any(map(_comes_back, found))):
            return self._denied(Rule.OWN_PORT, way)
        meant = [
            entry
            for entry in self.allow
            if entry.names(host, port) or all(entry.holds(judged.address, port) for judged in found)
        ]
        if self.allow and not meant:
            return self._denied(Rule.ALLOW_LIST, way)
        for judged in found:
            if not self._may_reach(judged, port):
                return self._denied(_OF_KIND[judged.kind], way)
        at_home = self.at_home and all(judged.kind is AddressKind.LOOPBACK for judged in found)
        with_port = any(entry.port is not None for entry in meant)
        if not (at_home or with_port or self._port_is_open(port, way)):
            return self._denied(Rule.PORT, way)
        return ALLOWED

    def _may_reach(self, judged: Judged, port: int) -> bool:
        if judged.kind is AddressKind.PUBLIC or (judged.kind in INSIDE and self.private):
            return True
        return any(
            entry.network is not None
            and entry.port in (None, port)
            and excuses(entry.network, judged.address)
            for entry in self.allow
        )

    def _port_is_open(self, port: int, way: Way) -> bool:
        return any(port in ports for ports in (self.ports if way is Way.HTTP else self.tunnel_ports))

    def _denied(self, rule: Rule, way: Way) -> Verdict:
        setting = "egress.ports" if way is Way.HTTP else "egress.tunnel_ports"
        return Verdict(rule, _WHY[rule].format(ports=setting))


def _spellings(address: IPAddress) -> set[IPAddress]:
    return {address, plain(address), *(judged.address for judged in kinds_of(address))}


def _comes_back(judged: Judged) -> bool:
    """Say whether it leads to this machine: loopback, and the address that means all of its own."""
    return judged.kind is AddressKind.LOOPBACK or judged.address.is_unspecified
