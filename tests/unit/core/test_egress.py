"""Where requests may go: one verdict a case, with the rule that gave it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal

import pytest
from hypothesis import given

from onceproxy.config.egress import Egress, egress_policy
from onceproxy.core.egress import EgressPolicy, Rule, Verdict, Way
from unit.core.test_addresses import embeddings, inside

CLOSED = EgressPolicy()  # as behind a listener that others can reach
HOME = EgressPolicy(private=True, at_home=True)


def policy(
    *,
    allow: tuple[str, ...] = (),
    deny: tuple[str, ...] = (),
    private: Literal["auto", "allow", "deny"] = "deny",
    at_home: bool = False,
    ports: tuple[int | str, ...] = (80, 443, "1024-65535"),
    tunnel_ports: tuple[int | str, ...] = (443,),
) -> EgressPolicy:
    section = Egress(allow=allow, deny=deny, private_networks=private, ports=ports, tunnel_ports=tunnel_ports)
    return egress_policy(section, at_home=at_home, own_ports=frozenset({8888, 8889}))


def judge(
    rules: EgressPolicy, host: str, address: str | None = None, port: int = 443, way: Way = Way.HTTP
) -> Verdict:
    """Judge as the door does: the name, then one address of it."""
    named = rules.judge_name(host, port, way)
    if not named.allowed or address is None:
        return named
    return rules.judge_address(host, ip_address(address), port, way)


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("8.8.8.8", Rule.ALLOWED),
        ("10.0.0.1", Rule.PRIVATE),
        ("100.64.0.1", Rule.PRIVATE),
        ("fd00::1", Rule.PRIVATE),
        ("127.0.0.1", Rule.LOOPBACK),
        ("::1", Rule.LOOPBACK),
        ("169.254.1.1", Rule.LINK_LOCAL),
        ("fe80::1", Rule.LINK_LOCAL),
        ("169.254.169.254", Rule.METADATA),
        ("224.0.0.1", Rule.MULTICAST),
        ("0.0.0.0", Rule.RESERVED),
        ("::ffff:169.254.169.254", Rule.METADATA),
        ("64:ff9b::a00:1", Rule.PRIVATE),
        ("2002:a00:1::1", Rule.PRIVATE),
        ("2001::f5ff:fffe", Rule.RESERVED),
    ],
)
def test_an_address_has_its_rule_by_name_and_by_number(address: str, rule: Rule) -> None:
    assert judge(CLOSED, "api.example.com", address).rule is rule
    assert judge(CLOSED, address).rule is rule


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "100.64.0.1", "64:ff9b::a00:1"]
)
@pytest.mark.parametrize(
    ("setting", "at_home", "allowed"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("allow", False, True),
        ("deny", True, False),
    ],
)
def test_private_networks(
    address: str, setting: Literal["auto", "allow", "deny"], at_home: bool, allowed: bool
) -> None:
    assert judge(policy(private=setting, at_home=at_home), "name.example", address).allowed is allowed


@pytest.mark.parametrize("address", ["169.254.169.254", "169.254.1.1", "fe80::1", "224.0.0.1", "0.0.0.0"])
def test_what_is_neither_public_nor_private_has_to_be_named(address: str) -> None:
    named = policy(allow=("**", address), private="allow", at_home=True)

    assert not judge(HOME, address).allowed
    assert judge(named, address).allowed
    assert judge(named, "name.example", address).allowed


@given(inside)
def test_nothing_inside_is_reached_in_any_embedding(inner: IPv4Address) -> None:
    every: list[IPv4Address | IPv6Address] = [inner, *embeddings(inner, 1)]
    for address in every:
        for rules in (CLOSED, policy(allow=("**",)), policy(allow=("0.0.0.0/0", "::/0"))):
            assert not judge(rules, "name.example", str(address)).allowed, address
            assert not judge(rules, str(address)).allowed, address


@pytest.mark.parametrize(
    ("host", "address", "rule"),
    [
        ("api.stripe.com", "8.8.8.8", Rule.ALLOWED),
        ("API.STRIPE.COM.", "8.8.8.8", Rule.ALLOWED),
        ("api.slack.com", "8.8.8.8", Rule.ALLOWED),
        ("a.b.slack.com", "8.8.8.8", Rule.ALLOW_LIST),
        ("slack.com", "8.8.8.8", Rule.ALLOW_LIST),
        ("evil.example", "8.8.8.8", Rule.ALLOW_LIST),
        ("api.stripe.com", "10.0.0.1", Rule.PRIVATE),  # a name that is allowed may lead anywhere
        ("8.8.8.8", None, Rule.ALLOW_LIST),
    ],
)
def test_a_list_of_names(host: str, address: str | None, rule: Rule) -> None:
    assert judge(policy(allow=("api.stripe.com", "*.slack.com")), host, address).rule is rule


@pytest.mark.parametrize(
    ("host", "address", "rule"),
    [
        ("anything.example", "10.1.2.3", Rule.ALLOWED),
        ("10.1.2.3", None, Rule.ALLOWED),
        ("::ffff:10.1.2.3", None, Rule.ALLOWED),
        ("anything.example", "8.8.8.8", Rule.ALLOW_LIST),
        ("64:ff9b::a01:203", None, Rule.ALLOW_LIST),  # the translator is not in it
    ],
)
def test_a_list_of_networks(host: str, address: str | None, rule: Rule) -> None:
    assert judge(policy(allow=("10.0.0.0/8",)), host, address).rule is rule


@pytest.mark.parametrize(
    ("host", "address", "rule"),
    [
        ("evil.example", None, Rule.DENY_LIST),
        ("EVIL.example.", None, Rule.DENY_LIST),
        ("a.b.evil.example", None, Rule.DENY_LIST),
        ("good.example", "8.8.8.8", Rule.DENY_LIST),
        ("8.8.8.8", None, Rule.DENY_LIST),
        ("::ffff:8.8.8.8", None, Rule.DENY_LIST),
        ("64:ff9b::808:808", None, Rule.DENY_LIST),
        ("2002:808:808::1", None, Rule.DENY_LIST),
        ("good.example", "1.1.1.1", Rule.ALLOWED),
    ],
)
def test_what_is_denied_is_denied_although_it_is_allowed(host: str, address: str | None, rule: Rule) -> None:
    rules = policy(allow=("**", "8.8.8.8"), deny=("**.evil.example", "8.8.8.0/24"))

    assert judge(rules, host, address).rule is rule


@pytest.mark.parametrize(
    ("port", "way", "rule"),
    [
        (443, Way.HTTP, Rule.ALLOWED),
        (80, Way.HTTP, Rule.ALLOWED),
        (8443, Way.HTTP, Rule.ALLOWED),
        (25, Way.HTTP, Rule.PORT),
        (22, Way.HTTP, Rule.PORT),
        (443, Way.TUNNEL, Rule.ALLOWED),
        (80, Way.TUNNEL, Rule.PORT),
        (25, Way.TUNNEL, Rule.PORT),
        (5432, Way.TUNNEL, Rule.PORT),
    ],
)
def test_ports(port: int, way: Way, rule: Rule) -> None:
    for rules in (CLOSED, policy(private="allow")):
        assert judge(rules, "name.example", "8.8.8.8", port, way).rule is rule
        assert judge(rules, "8.8.8.8", None, port, way).rule is rule
    assert judge(policy(private="allow"), "127.0.0.1", None, port, way).rule is rule
    assert judge(HOME, "name.example", "8.8.8.8", port, way).rule is rule


@pytest.mark.parametrize("way", list(Way))
def test_no_port_of_loopback_is_closed_to_who_can_go_there_anyway(way: Way) -> None:
    assert judge(HOME, "localhost", "127.0.0.1", 25, way).allowed
    assert judge(HOME, "::1", None, 5432, way).allowed
    assert judge(HOME, "name.example", "10.0.0.1", 25, way).rule is Rule.PORT


def test_an_entry_with_a_port_opens_that_port_there() -> None:
    rules = policy(allow=("**", "mail.example:25", "10.0.0.5:5432"))

    assert judge(rules, "mail.example", "8.8.8.8", 25, Way.TUNNEL).allowed
    assert judge(rules, "other.example", "8.8.8.8", 25, Way.TUNNEL).rule is Rule.PORT
    assert judge(rules, "10.0.0.5", None, 5432, Way.TUNNEL).allowed
    assert judge(rules, "10.0.0.5", None, 443, Way.TUNNEL).rule is Rule.PRIVATE


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
)
def test_nobody_reaches_the_proxy_through_itself(host: str) -> None:
    rules = policy(allow=("**", "127.0.0.0/8", "::1", "0.0.0.0", "::"), private="auto", at_home=True)

    assert judge(rules, host, None, 8888).rule is Rule.OWN_PORT
    assert judge(rules, host, None, 8889, Way.TUNNEL).rule is Rule.OWN_PORT
    assert judge(rules, host, None, 3000).rule is not Rule.OWN_PORT
    assert judge(rules, "name.example", "8.8.8.8", 8888).allowed  # somebody else's


def test_an_address_of_this_machine_is_its_own() -> None:
    rules = policy(private="allow")
    address = ip_address("10.0.0.1")

    assert rules.judge_address("a.example", address, 8888, Way.HTTP, here=True).rule is Rule.OWN_PORT
    assert rules.judge_address("a.example", address, 8888, Way.HTTP).allowed


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1."])
def test_odd_numerals_are_no_hosts(host: str) -> None:
    assert judge(replace(HOME), host).rule is Rule.ODD_NUMERAL


def test_a_name_may_be_undecided() -> None:
    assert judge(CLOSED, "name.example").maybe
    assert not judge(CLOSED, "8.8.8.8").maybe


def test_the_words_say_what_to_set_and_not_where_it_led() -> None:
    verdict = judge(CLOSED, "name.example", "10.20.30.40", 443)

    assert "egress.private_networks" in verdict.words
    assert "10.20" not in verdict.words
    assert "egress.tunnel_ports" in judge(CLOSED, "a.example", None, 25, Way.TUNNEL).words
