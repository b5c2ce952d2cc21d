"""What kind of place each address is, whatever it hides in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onceproxy.core.addresses import AddressKind, excuses, is_odd_numeral, kinds_of, parse_address

PUBLIC, PRIVATE, LOOPBACK = AddressKind.PUBLIC, AddressKind.PRIVATE, AddressKind.LOOPBACK
LINK_LOCAL, METADATA = AddressKind.LINK_LOCAL, AddressKind.METADATA
MULTICAST, RESERVED = AddressKind.MULTICAST, AddressKind.RESERVED

CASES = [
    ("8.8.8.8", [PUBLIC]),
    ("1.1.1.1", [PUBLIC]),
    ("9.255.255.255", [PUBLIC]),
    ("11.0.0.0", [PUBLIC]),
    ("100.63.255.255", [PUBLIC]),
    ("100.128.0.0", [PUBLIC]),
    ("172.15.255.255", [PUBLIC]),
    ("172.32.0.0", [PUBLIC]),
    ("192.167.255.255", [PUBLIC]),
    ("192.169.0.0", [PUBLIC]),
    ("223.255.255.255", [PUBLIC]),
    ("10.0.0.0", [PRIVATE]),
    ("10.255.255.255", [PRIVATE]),
    ("172.16.0.0", [PRIVATE]),
    ("172.31.255.255", [PRIVATE]),
    ("192.168.0.0", [PRIVATE]),
    ("192.168.255.255", [PRIVATE]),
    ("100.64.0.0", [PRIVATE]),
    ("100.127.255.255", [PRIVATE]),
    ("127.0.0.1", [LOOPBACK]),
    ("127.255.255.255", [LOOPBACK]),
    ("169.254.0.1", [LINK_LOCAL]),
    ("169.254.255.255", [LINK_LOCAL]),
    ("169.254.169.254", [METADATA]),
    ("169.254.170.2", [METADATA]),
    ("100.100.100.200", [METADATA]),
    ("168.63.129.16", [METADATA]),
    ("192.0.0.192", [METADATA]),
    ("0.0.0.0", [RESERVED]),
    ("0.1.2.3", [RESERVED]),
    ("192.0.0.8", [RESERVED]),
    ("192.0.2.1", [RESERVED]),
    ("198.18.0.1", [RESERVED]),
    ("198.19.255.255", [RESERVED]),
    ("198.51.100.1", [RESERVED]),
    ("203.0.113.1", [RESERVED]),
    ("192.88.99.1", [RESERVED]),
    ("240.0.0.1", [RESERVED]),
    ("255.255.255.255", [RESERVED]),
    ("224.0.0.1", [MULTICAST]),
    ("239.255.255.255", [MULTICAST]),
    ("2606:4700::1111", [PUBLIC]),
    ("2a00:1450::1", [PUBLIC]),
    ("::", [RESERVED]),
    ("::1", [LOOPBACK]),
    ("fc00::1", [PRIVATE]),
    ("fdff:ffff::1", [PRIVATE]),
    ("fec0::1", [PRIVATE]),
    ("fd00:ec2::254", [METADATA]),
    ("fd20:ce::254", [METADATA]),
    ("fe80::1", [LINK_LOCAL]),
    ("febf::1", [LINK_LOCAL]),
    ("fe80::a9fe:a9fe", [METADATA]),
    ("ff02::1", [MULTICAST]),
    ("2001:db8::1", [RESERVED]),
    ("3fff::1", [RESERVED]),
    ("100::1", [RESERVED]),
    ("5f00::1", [RESERVED]),
    ("4000::1", [RESERVED]),
    # Hidden ones.
    ("::ffff:8.8.8.8", [PUBLIC]),
    ("::ffff:10.0.0.1", [PRIVATE]),
    ("::ffff:127.0.0.1", [LOOPBACK]),
    ("::ffff:169.254.169.254", [METADATA]),
    ("::10.0.0.1", [RESERVED, PRIVATE]),
    ("::ffff:0:10.0.0.1", [RESERVED, PRIVATE]),
    ("64:ff9b::8.8.8.8", [PUBLIC, PUBLIC]),
    ("64:ff9b::10.0.0.1", [PUBLIC, PRIVATE]),
    ("64:ff9b::169.254.169.254", [PUBLIC, METADATA]),
    ("64:ff9b::224.0.0.1", [PUBLIC, MULTICAST]),
    ("64:ff9b:1::8.8.8.8", [PRIVATE, PUBLIC]),
    ("64:ff9b:1::127.0.0.1", [PRIVATE, LOOPBACK]),
    ("64:ff9b:1:0:a9:fea9:fe00:0", [PRIVATE, METADATA]),  # by a /64
    ("64:ff9b:1:a9fe:a9:fe00::", [PRIVATE, METADATA]),  # by a /48
    ("2002:808:808::1", [PUBLIC, PUBLIC]),
    ("2002:a00:1::1", [PUBLIC, PRIVATE]),
    ("2002:7f00:1::1", [PUBLIC, LOOPBACK]),
    ("2001::f5ff:fffe", [RESERVED, RESERVED, PRIVATE]),  # Teredo: the client is 10.0.0.1
    ("2001:0:a9fe:a9fe::f7f7:f7f7", [RESERVED, METADATA, PUBLIC]),  # and here it is the server
    ("2a00:1450::5efe:10.0.0.1", [PUBLIC, PRIVATE]),  # ISATAP
    ("2a00:1450::200:5efe:7f00:1", [PUBLIC, LOOPBACK]),
    ("2002:808:808::5efe:192.168.0.1", [PUBLIC, PUBLIC, PRIVATE]),
]


@pytest.mark.parametrize(("text", "kinds"), CASES, ids=[text for text, _ in CASES])
def test_kinds(text: str, kinds: list[AddressKind]) -> None:
    found = [judged.kind for judged in kinds_of(ip_address(text))]

    if text.startswith("64:ff9b:1:"):  # a prefix of local NAT64 can be read in several ways
        assert set(kinds) <= set(found)
    else:
        assert found == kinds


INSIDE = [
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8"),
        *("169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "198.18.0.0/15"),
    )
]
inside = st.one_of([st.ip_addresses(network=network) for network in INSIDE])


def embeddings(inner: IPv4Address, low: int) -> list[IPv6Address]:
    """All ways to hide an IPv4 address; ``low`` fills what is free."""
    bits, octets = int(inner), inner.packed
    local, subnet = int(IPv6Address("64:ff9b:1::")), low.to_bytes(8, "big")
    prefix = local.to_bytes(16, "big")
    return [
        IPv6Address(int(IPv6Address("::ffff:0:0")) | bits),
        IPv6Address(bits),
        IPv6Address(int(IPv6Address("::ffff:0:0:0")) | bits),
        IPv6Address(int(IPv6Address("64:ff9b::")) | bits),
        IPv6Address(local | bits),
        IPv6Address(prefix[:8] + b"\0" + octets + b"\0\0\0"),
        IPv6Address(prefix[:7] + octets[:1] + b"\0" + octets[1:] + b"\0" * 4),
        IPv6Address(prefix[:6] + octets[:2] + b"\0" + octets[2:] + b"\0" * 5),
        IPv6Address(0x2002 << 112 | bits << 80 | low),
        IPv6Address(0x2001 << 112 | 0x08080808 << 64 | bits ^ 0xFFFFFFFF),
        IPv6Address(0x2001 << 112 | bits << 64 | low),
        IPv6Address(b"\x2a\0" + b"\0" * 6 + b"\0\0\x5e\xfe" + octets),
        IPv6Address(b"\x2a\0" + subnet[:6] + b"\x02\0\x5e\xfe" + octets),
    ]


@given(inside, st.integers(0, 2**64 - 1))
def test_nothing_inside_is_public_in_any_embedding(inner: IPv4Address, low: int) -> None:
    assert all(judged.kind is not PUBLIC for judged in kinds_of(inner))
    for outer in embeddings(inner, low):
        assert any(judged.kind is not PUBLIC for judged in kinds_of(outer)), outer
        assert inner in [judged.address for judged in kinds_of(outer)], outer


@given(st.ip_addresses(v=6))
def test_what_was_never_handed_out_is_not_public(address: IPv6Address) -> None:
    handed_out = address in IPv6Network("2000::/3") or address in IPv6Network("64:ff9b::/96")
    mapped = address in IPv6Network("::ffff:0:0/96")

    assert handed_out or mapped or any(judged.kind is not PUBLIC for judged in kinds_of(address))


@pytest.mark.parametrize(
    ("host", "odd"),
    [
        *(("2130706433", True), ("0x7f000001", True), ("017700000001", True), ("127.1", True)),
        *(("127.0.1", True), ("0177.0.0.1", True), ("0x7f.0.0.1", True), ("127.0.0.0x1", True)),
        *(("127.0.0.1.", True), ("1.2.3.4.5", True), ("300.1.1.1", True), ("a.0x", True), ("x.1", True)),
        *(("127.0.0.1", False), ("example.com", False), ("1.example", False), ("0x7f.example", False)),
        *(("example.com.", False), ("beef", False), ("xn--mnchen-3ya.de", False), ("::1", False)),
    ],
)
def test_odd_numerals(host: str, odd: bool) -> None:
    assert is_odd_numeral(host) is odd


def test_zones_are_taken_off() -> None:
    assert parse_address("fe80::1%eth0") == ip_address("fe80::1")
    assert parse_address("example.com") is None


@pytest.mark.parametrize(
    ("network", "address", "does"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/7", "10.1.2.3", False),
        ("0.0.0.0/0", "10.1.2.3", False),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("169.254.0.0/16", "169.254.1.1", True),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("169.254.169.254", "169.254.169.254", True),
        ("::/0", "::1", False),
        ("fd00::/8", "fd00::1", True),
        ("fd00::/8", "fd00:ec2::254", False),
    ],
)
def test_only_the_network_itself_excuses(network: str, address: str, does: bool) -> None:
    assert excuses(ip_network(network), ip_address(address)) is does
