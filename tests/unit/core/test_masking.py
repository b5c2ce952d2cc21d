"""What of a URL is shown and stored: no secret that any webhook, bot API or route carries in it."""

from __future__ import annotations

import pytest

from onceproxy.core.masking import SecretRules, is_secret_name, masked_path, masked_text, shown_url
from onceproxy.core.matching import Condition, Match, Reading
from onceproxy.core.messages import Origin, Request
from onceproxy.core.probes import Probe, shown_question

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("host", "path", "shown"),
    [
        ("api.example.com", "/v1/charges/ch_3MtwBwLkdIwHu7ix28a3tqPa", None),
        ("api.example.com", "/oauth/token", None),
        ("hooks.slack.com", "/services/T01/B02/xyzzy", "/services/***/***/***"),
        ("hooks.slack.com", "//services//T01/B02/xyzzy", "//services//***/***/***"),
        ("hooks.slack.com", "/%73ervices/T01/B02/xyzzy", "/services/***/***/***"),
        ("slack.test", "/services/T01/B02/xyzzy", "/services/T***/B***/***"),
        ("discord.com", "/api/webhooks/1/xyzzy/messages/7", "/api/webhooks/***/***/messages/7"),
        ("ptb.discord.com", "/api/v10/webhooks/1/xyzzy", "/api/v***/webhooks/***/***"),
        ("api.telegram.org", "/bot1:xyzzy/sendMessage", "/bot***/sendMessage"),
        ("bots.test", "/bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage", "/bot***/sendMessage"),
        ("acme.webhook.office.com", "/webhookb2/a@b/IncomingWebhook/c/d", "/webhookb2/***/***/***/***"),
        ("maker.ifttt.com", "/trigger/rain/with/key/xyzzy", "/trigger/rain/with/key/***"),
        ("h", f"/callback/{JWT}/done", "/callback/***/done"),
        ("h", "/files;token=xyzzy;v=1/x", "/files;token=***;v=1/x"),
        ("h", "/hook/sk_live_xyzzy", "/hook/***"),
    ],
)
def test_secrets_in_paths(host: str, path: str, shown: str | None) -> None:
    assert masked_path(host, path.encode()) == (path if shown is None else shown)


@pytest.mark.parametrize(
    ("pattern", "path", "shown"),
    [
        ("/hooks/**", "/hooks/a/b", "/hooks/***/***"),
        ("/hooks/*", "/hooks/a/b", "/hooks/***/b"),
        ("/hooks/*/run", "/hooks/a/b", "/hooks/a/b"),
        ("/hooks/*/run", "/hooks/a/run/c", "/hooks/***/run/c"),
        ("/k-*-x", "/k-xyzzy-x", "/k-***-x"),
        ("/k-*-x", "/k-x", "/k-x"),
        ("/**", "/a/b", "/***/***"),
    ],
)
def test_what_a_route_names(pattern: str, path: str, shown: str) -> None:
    assert masked_path("h", path.encode(), SecretRules(paths=(pattern,))) == shown


def test_what_two_rules_hide_in_one_segment_is_hidden_whole() -> None:
    assert masked_path("h", b"/a-xyzzy-b", SecretRules(paths=("/a-*", "/*-b"))) == "/***"


def test_a_url_is_shown_without_its_query() -> None:
    request = Request("POST", Origin("https", "api.telegram.org", 443), b"/bot1:xyzzy/send?token=xyzzy")

    assert shown_url(request) == "https://api.telegram.org/bot***/send"


def test_a_probe_is_shown_with_its_places_unfilled() -> None:
    probe = Probe("http://h:80/orders/{key}/{json:$.ref}?secret=xyzzy&k={header:X-Key}", "$.id")

    assert shown_question(probe) == "http://h/orders/{key}/{json:$.ref}"


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "sig", "pwd", "CVC", "access_token", "code"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["design", "country_code", "shipping", "amount", "X-Ticket"])
def test_names_of_what_is_none(name: str) -> None:
    assert not is_secret_name(name)
    assert is_secret_name(name, (name.upper(),))


def test_tokens_in_texts() -> None:
    assert masked_text(f"Bearer {JWT}, and gh" + "p_0123456789abcdefghij") == "Bearer ***, and ***"


def test_conditions_of_routes_do_not_show_it() -> None:
    match = Match(paths=("/hooks/**",), headers=(Condition("X-Api-Key", ("xyzzy",)),))
    request = Request("POST", Origin("http", "h", 80), b"/hooks/plugh", ((b"X-Api-Key", b"frotz"),))

    told = repr(list(match.checks(Reading(request), SecretRules(paths=("/hooks/*",)))))

    assert "/hooks/***" in told
    assert not any(secret in told for secret in ("xyzzy", "plugh", "frotz"))
