"""Hooks as they are written, and what is said where something is wrong with them. Never a secret or a URL."""

from __future__ import annotations

import base64

import pytest

from onceproxy.config.hooks import read_secrets
from onceproxy.config.load import ConfigError, load
from onceproxy.config.model import Settings
from onceproxy.config.warnings import warnings
from onceproxy.core.addresses import parse_address
from onceproxy.core.egress import Way
from onceproxy.core.notices import NoticeKind
from onceproxy.wiring import hook_egress, hooks_of, receipts_url
from unit.config.loading import FILE

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
URL = "https://hooks.example.com/T0xyzzy?token=xyzzy"


def loaded(text: str) -> Settings:
    FILE.write_text(f"version: 1\n{text}")
    return load(FILE, environ={"SECRET": SECRET, "SHORT": "whsec_eHl6enk="}, serving=True)


def test_a_hook_is_told_of_all_unless_it_says_otherwise() -> None:
    settings = loaded(
        f"hooks: [{{url: '{URL}', secret_env: SECRET}}, "
        "{url: http://10.0.0.1:9000/x, secret_env: SECRET, events: [executed-twice]}]"
    )

    assert [hook.events for hook in settings.hooks] == [tuple(NoticeKind), (NoticeKind.EXECUTED_TWICE,)]
    assert [key for _, key in read_secrets(settings.hooks, {"SECRET": SECRET})] == [KEY, KEY]
    assert "xyzzy" not in repr(settings)


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        (f"{{url: '{URL}'}}", "hooks[0]: must have exactly one of secret_env, secret_file"),
        ("{secret_env: SECRET}", "hooks[0].url: is missing; it is where messages are sent, as in "),
        (f"{{url: '{URL}#xyzzy', secret_env: SECRET}}", "hooks[0].url: it must hold no fragment (#)"),
        ("{url: 'https://u:xyzzy@h/', secret_env: SECRET}", "hooks[0].url: it must hold no user name"),
        (f"{{url: '{URL}', secret_env: SHORT}}", "hooks[0].secret_env: a secret is whsec_ and 24 to 64 "),
        (f"{{url: '{URL}', secret_env: UNSET}}", "hooks[0].secret_env: the environment has no variable"),
        (f"{{url: '{URL}', secret_env: {SECRET}}}", "hooks[0].secret_env: it must be the name of an "),
        (f"{{url: '{URL}', secret_file: /no/file}}", "hooks[0].secret_file: there is no such file"),
        (f"{{url: '{URL}', secret_env: SECRET, events: [lost]}}", "hooks[0].events[0]: it must be "),
        (f"{{url: '{URL}', secret_env: SECRET, events: []}}", "hooks[0].events: it must name one "),
        (f"&a {{url: '{URL}', secret_env: SECRET}}, *a", "hooks[1].url: is that of hooks[0], too; "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_hook(hook: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(f"hooks: [{hook}]")

    [line] = caught.value.problems
    assert problem in line
    assert "xyzzy" not in line
    assert SECRET not in line


@pytest.mark.parametrize(
    ("url", "host", "address", "allowed"),
    [
        ("https://hooks.example.com/x", "hooks.example.com", "8.8.8.8", True),
        ("https://hooks.corp.example/x", "hooks.corp.example", "10.0.0.7", True),
        ("https://hooks.corp.example/x", "hooks.corp.example", "169.254.169.254", False),
        ("https://hooks.example.com/x", "api.example.com", "8.8.8.8", False),
        ("https://hooks.example.com/x", "hooks.example.com", "203.0.114.9", False),
    ],
)
def test_where_messages_may_go(
    monkeypatch: pytest.MonkeyPatch, url: str, host: str, address: str, allowed: bool
) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    settings = loaded(
        "egress: {allow: [api.stripe.com], deny: [203.0.114.0/24]}\n"
        f"hooks: [{{url: '{url}', secret_env: SECRET}}]"
    )
    policy = hook_egress(settings, hooks_of(settings))
    parsed = parse_address(address)
    assert parsed is not None

    named = policy.judge_name(host, 443, Way.HTTP).allowed
    assert (named and policy.judge_address(host, parsed, 443, Way.HTTP).allowed) is allowed


def test_links_lead_to_where_people_reach_the_admin_listener() -> None:
    assert receipts_url(loaded(""), "http://127.0.0.1:8889") == "http://127.0.0.1:8889/receipts"
    public = loaded("admin: {url: 'https://once.corp.example/'}")
    assert receipts_url(public, "http://127.0.0.1:8889") == "https://once.corp.example/receipts"


def test_what_goes_in_clear_is_warned_of() -> None:
    hooks = ", ".join(
        f"{{url: '{url}', secret_env: SECRET}}"
        for url in (
            "http://127.0.0.1:9000/x",
            "http://hooks.corp.example/xyzzy",
            "https://hooks.corp.example/xyzzy",
        )
    )

    [warning] = warnings(loaded(f"hooks: [{hooks}]"))

    assert "hooks[1].url begins with http://" in warning
    assert "xyzzy" not in warning
