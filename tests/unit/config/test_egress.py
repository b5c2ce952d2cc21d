"""How destinations are written, and what is told of entries that can't decide anything."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest

from onceproxy.config.egress import parse_entry, parse_ports
from onceproxy.config.unreached import unreached
from onceproxy.core.egress import Entry, Rule
from onceproxy.core.globs import host_tokens
from unit.config.loading import problems_of, settings_of

DOCS = Path(__file__).parents[3] / "docs" / "egress.md"


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("Example.com", Entry(hosts=host_tokens("example.com"))),
        ("**.example.com:8443", Entry(hosts=host_tokens("**.example.com"), port=8443)),
        ("10.0.0.0/8", Entry(network=ip_network("10.0.0.0/8"))),
        ("10.0.0.5", Entry(network=ip_network("10.0.0.5/32"))),
        ("10.0.0.5:5432", Entry(network=ip_network("10.0.0.5/32"), port=5432)),
        ("fd00::/8", Entry(network=ip_network("fd00::/8"))),
        ("::1", Entry(network=ip_network("::1/128"))),
        ("[::1]:8443", Entry(network=ip_network("::1/128"), port=8443)),
        ("[fd00::/8]", Entry(network=ip_network("fd00::/8"))),
    ],
)
def test_entries(text: str, entry: Entry) -> None:
    assert parse_entry(text) == entry


@pytest.mark.parametrize(
    "text",
    [
        *("https://example.com", "example.com/path", "bücher.example", "a b", "*:0", "a:70000", "a.*.?"),
        *("10.0.0.1/8", "10.0.0", "2130706433", "0x7f.1", "127.1:80", "300.1.1.1", "fd00::1/8", "::1%lo"),
        *("", ":443", "10.0.0.5:0", "[::1]:99999", "1:2", "[example.com]:1"),
    ],
)
def test_what_is_no_entry(text: str) -> None:
    [problem] = problems_of(f"egress: {{allow: ['{text}']}}")

    assert "egress.allow[0]: " in problem


@pytest.mark.parametrize(
    ("text", "ports"), [("443", range(443, 444)), (80, range(80, 81)), ("1-65535", range(1, 65536))]
)
def test_ports(text: str, ports: range) -> None:
    assert parse_ports(text) == ports


@pytest.mark.parametrize("text", ["0", "65536", "9-8", "http", "'1-'", "-1", "true", "1.5"])
def test_what_is_no_port(text: str) -> None:
    assert problems_of(f"egress: {{ports: [{text}]}}")


@pytest.mark.parametrize(
    ("config", "warning"),
    [
        (
            "egress: {allow: [api.example.com], deny: ['**.example.com']}",
            "egress.allow[0] (api.example.com) never allows anything: egress.deny[0] (**.example.com) "
            "forbids all of it",
        ),
        (
            "egress: {allow: ['10.1.0.0/16'], deny: ['10.0.0.0/8']}",
            "egress.allow[0] (10.1.0.0/16) never allows anything: egress.deny[0] (10.0.0.0/8) forbids",
        ),
        (
            "egress: {allow: ['*.example.com', 'a.example.com:443']}",
            "egress.allow[1] (a.example.com:443) is in egress.allow[0] (*.example.com) already",
        ),
        (
            "egress: {deny: ['fd00::/8', 'fd00::1']}",
            "egress.deny[1] (fd00::1) is in egress.deny[0] (fd00::/8) already",
        ),
        (
            "listen: 0.0.0.0:8888\nmounts: {/hooks: 'http://127.0.0.1:3000/hooks'}",
            "mounts./hooks leads to 127.0.0.1:3000, which the egress rule loopback forbids",
        ),
        (
            "tls: {passthrough: [pinned.example]}\negress: {allow: [api.example.com]}",
            "tls.passthrough[0] (pinned.example) is never reached: the egress rule allow-list forbids it",
        ),
    ],
)
def test_what_can_never_decide_anything_is_told(config: str, warning: str) -> None:
    [found] = unreached(settings_of(config))

    assert found.startswith(warning)


@pytest.mark.parametrize(
    "config",
    [
        "egress: {allow: ['*.example.com', 'a.b.example.com', '10.0.0.0/8'], deny: ['x.example.com']}",
        "egress: {allow: ['a.example:443', 'a.example:80'], deny: ['a.example:22']}",
        "mounts: {/hooks: 'http://127.0.0.1:3000/hooks'}\ntls: {passthrough: ['*.p.example', a.example]}",
    ],
)
def test_what_decides_something_is_not(config: str) -> None:
    assert list(unreached(settings_of(config))) == []


def test_the_docs_name_each_rule_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| ", DOCS.read_text("utf-8"), re.MULTILINE)

    assert sorted(rows) == sorted(rule.value for rule in Rule if rule is not Rule.ALLOWED)


def test_the_example_in_the_docs_is_valid() -> None:
    [text] = re.findall(r"```yaml\n(egress:.*?)```", DOCS.read_text("utf-8"), re.DOTALL)

    assert len(settings_of(text).egress.allow) == 2
