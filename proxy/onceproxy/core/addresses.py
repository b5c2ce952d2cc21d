"""What kind of place an IP address is: the public internet, or somewhere that only insiders should reach.

Python's ``is_private`` and ``is_global`` are not used: they call 64:ff9b::10.0.0.1 and 224.0.0.1 global and
100.64.0.1 not private. The tables are those of RFC 6890 and its registries (IANA special-purpose addresses).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


class AddressKind(StrEnum):
    """Kinds of addresses, the values as rules and metrics name them."""

    PUBLIC = "public"
    PRIVATE = "private-network"  # RFC 1918, CGNAT (RFC 6598), ULA (RFC 4193), site-local, local NAT64
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    METADATA = "metadata"  # where a cloud hands out credentials to whoever asks
    MULTICAST = "multicast"
    RESERVED = "reserved"  # no place at all, or one for protocols and documentation


# AWS, Azure, Google and most others; AWS containers and pods; Alibaba; Azure's host; Oracle's former one.
_METADATA = frozenset(
    ip_address(text)
    for text in (
        *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16"),
        *("192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::a9fe:a9fe"),
    )
)

_TABLE: tuple[tuple[AddressKind, tuple[str, ...]], ...] = (
    (AddressKind.LOOPBACK, ("127.0.0.0/8", "::1/128")),
    (AddressKind.LINK_LOCAL, ("169.254.0.0/16", "fe80::/10")),
    (
        AddressKind.PRIVATE,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),
            *("fc00::/7", "fec0::/10", "64:ff9b:1::/48"),
        ),
    ),
    (AddressKind.MULTICAST, ("224.0.0.0/4", "ff00::/8")),
    (
        AddressKind.RESERVED,
        (
            # "This network" (on Linux 0.0.0.0 is this machine), protocol assignments, documentation, the
            # former 6to4 relays, benchmarks, and what was never assigned, broadcast included.
            *("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15"),
            *("198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
            # Likewise; Teredo is among 2001::/23.
            *("2001::/23", "2001:db8::/32", "3fff::/20"),
        ),
    ),
)
_KINDS = tuple((kind, ip_network(text)) for kind, texts in _TABLE for text in texts)

# Of IPv6 only this is handed out as global unicast (RFC 4291 §2.4, IANA), and this is how NAT64 makes one of
# an IPv4 address (RFC 6052 §2.1).
_GLOBAL = ip_network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 §2.5.5.2
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291 §2.5.5.1
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # RFC 2765 §2.1
_SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056
_TEREDO = IPv6Network("2001::/32")  # RFC 4380: the server's address, and the client's with its bits turned
_ISATAP = 0x00005EFE  # RFC 5214 §6.1: the interface identifier's first half, the two low bits of byte 0 aside
_LOW = 0xFFFF_FFFF

_NUMERAL = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Judged:
    """An address and its kind; one that is hidden in another follows behind it."""

    address: IPAddress
    kind: AddressKind


def kinds_of(address: IPAddress) -> tuple[Judged, ...]:
    """Return what an address is, and what each IPv4 address is that it stands for or carries.

    A mapped address (``::ffff:10.0.0.1``) is only another spelling, so it is judged as what it spells.
    """
    if isinstance(address, IPv6Address):
        if address in _MAPPED:
            return (_judged(IPv4Address(int(address) & _LOW)),)
        return (_judged(address), *(_judged(inner) for inner in _embedded(address)))
    return (_judged(address),)


def is_odd_numeral(host: str) -> bool:
    """Say whether a host is a number that some resolver takes for an address, in no usual form of one.

    2130706433, 0177.0.0.1, 0x7f.1 and 127.1 are all 127.0.0.1 to some programs and names to others. A name's
    last label is never a number (RFC 1123 §2.1, WHATWG URL §3.5).
    """
    if ":" in host or not _NUMERAL.fullmatch(host.lower().removesuffix(".").rpartition(".")[2]):
        return False
    try:
        IPv4Address(host)
    except ValueError:
        return True
    return False


def parse_address(text: str) -> IPAddress | None:
    """Return the IP address that a host is, its zone taken off; None for a name."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def excuses(network: IPNetwork, address: IPAddress) -> bool:
    """Say whether naming a network is naming that very kind of place: 10.0.0.0/8 is, 0.0.0.0/0 is not.

    A metadata service has to be named by its address alone.
    """
    if address not in network:
        return False
    if address in _METADATA:
        return network.num_addresses == 1
    return any(
        network.subnet_of(special)  # type: ignore[arg-type]  # of the same version, which is checked first
        for _, special in _KINDS
        if special.version == network.version
    )


def plain(address: IPAddress) -> IPAddress:
    """Return the address that is dialled: IPv4 where IPv6 is only the spelling."""
    if isinstance(address, IPv6Address) and address in _MAPPED:
        return IPv4Address(int(address) & _LOW)
    return address


def _judged(address: IPAddress) -> Judged:
    return Judged(address, _kind(address))


def _kind(address: IPAddress) -> AddressKind:
    if address in _METADATA:
        return AddressKind.METADATA
    for kind, network in _KINDS:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL and address not in _NAT64:
        return AddressKind.RESERVED
    return AddressKind.PUBLIC


def _embedded(address: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address leads to by way of a translator or a tunnel."""
    bits = int(address)
    if address in _NAT64 or address in _TRANSLATED:
        return [IPv4Address(bits & _LOW)]
    if address in _COMPATIBLE:
        return [IPv4Address(bits & _LOW)] if bits > 1 else []  # :: and ::1 are no such addresses
    if address in _NAT64_LOCAL:
        return _nat64_local(address)
    if address in _SIX_TO_FOUR:
        return [IPv4Address(bits >> 80 & _LOW), *_isatap(bits)]
    if address in _TEREDO:
        return [IPv4Address(bits >> 64 & _LOW), IPv4Address(bits & _LOW ^ _LOW)]
    return _isatap(bits)


def _isatap(bits: int) -> list[IPv4Address]:
    return [IPv4Address(bits & _LOW)] if bits >> 32 & 0xFCFF_FFFF == _ISATAP else []


def _nat64_local(address: IPv6Address) -> list[IPv4Address]:
    """Return what each length of a prefix inside 64:ff9b:1::/48 makes of it (RFC 6052 §2.2).

    Octet 8 is left out. Only the network knows which length it uses; what would be 0.x.x.x is another one's.
    """
    octets = address.packed
    by_48, by_56 = octets[6:8] + octets[9:11], octets[7:8] + octets[9:12]
    readings = (octets[12:], octets[9:13], by_56, by_48)  # the first two by /96 and /64
    return [IPv4Address(reading) for reading in dict.fromkeys(readings) if reading[0]]
