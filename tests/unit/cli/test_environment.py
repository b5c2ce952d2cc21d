"""The variables of a child program, and how each shell is told to set them."""

from __future__ import annotations

import os
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from onceproxy.cli.environment import (
    BUNDLE_VARIABLES,
    apply_changes,
    client_url,
    format_environment,
    proxy_environment,
    roots_named_in,
)

URL = "http://127.0.0.1:8888"
BUNDLE, CERTIFICATE = Path("/data/ca/ca-bundle.pem"), Path("/data/ca/ca-cert.pem")
AWKWARD = '/it\'s "a" $HOME `id` \\n * dir\n;x/ü’'


def changes(**current: str) -> dict[str, str | None]:
    return proxy_environment(URL, BUNDLE, CERTIFICATE, current)


def test_every_variable_of_the_interface() -> None:
    assert changes() == {
        "HTTP_PROXY": URL,
        "http_proxy": URL,
        "HTTPS_PROXY": URL,
        "https_proxy": URL,
        "ALL_PROXY": None,
        "all_proxy": None,
        "SSL_CERT_FILE": str(BUNDLE),
        "REQUESTS_CA_BUNDLE": str(BUNDLE),
        "CURL_CA_BUNDLE": str(BUNDLE),
        "AWS_CA_BUNDLE": str(BUNDLE),
        "NODE_EXTRA_CA_CERTS": str(CERTIFICATE),
        "NODE_USE_ENV_PROXY": "1",
    }


def test_what_is_not_named_stays() -> None:
    current = {
        "NO_PROXY": "internal.example",
        "no_proxy": "localhost",
        "PIP_CERT": "/corp.pem",
        "HOME": "/root",
        "ALL_PROXY": "socks5://x",
        "all_proxy": "socks5://x",
        "HTTP_PROXY": "http://other",
    }
    environ = apply_changes(changes(**current), current)
    for name in ("NO_PROXY", "no_proxy", "PIP_CERT", "HOME"):
        assert environ[name] == current[name]
    assert "ALL_PROXY" not in environ
    assert "all_proxy" not in environ
    assert environ["HTTP_PROXY"] == URL


def test_a_corporate_ca_that_node_was_given_is_kept() -> None:
    assert changes(NODE_EXTRA_CA_CERTS="/corp.pem")["NODE_EXTRA_CA_CERTS"] == str(BUNDLE)
    assert changes(NODE_EXTRA_CA_CERTS=str(CERTIFICATE))["NODE_EXTRA_CA_CERTS"] == str(CERTIFICATE)
    assert changes(NODE_EXTRA_CA_CERTS="")["NODE_EXTRA_CA_CERTS"] == str(CERTIFICATE)


@pytest.mark.parametrize("variable", [*BUNDLE_VARIABLES, "NODE_EXTRA_CA_CERTS"])
def test_roots_that_were_named_before_are_found(variable: str) -> None:
    assert roots_named_in({variable: "/corp.pem", "PIP_CERT": "/pip.pem"}) == (Path("/corp.pem"),)


def test_roots_are_named_once_and_only_where_there_are_some() -> None:
    assert roots_named_in({}) == ()
    assert roots_named_in({"SSL_CERT_FILE": "", "CURL_CA_BUNDLE": "/a", "AWS_CA_BUNDLE": "/a"}) == (
        Path("/a"),
    )


@pytest.mark.parametrize(
    ("listening", "reached"),
    [
        ("http://127.0.0.1:8888", "http://127.0.0.1:8888"),
        ("http://[::1]:8888", "http://[::1]:8888"),
        ("http://0.0.0.0:8888", "http://127.0.0.1:8888"),
        ("http://[::]:8888", "http://[::1]:8888"),
        ("http://Proxy.internal:1", "http://Proxy.internal:1"),
    ],
)
def test_a_proxy_on_all_addresses_is_reached_on_loopback(listening: str, reached: str) -> None:
    assert client_url(listening) == reached


@pytest.mark.parametrize("run_id", ["run-42", "a/b@c#d?e", "100%", "%41", "[x]", "~" * 255])
def test_a_run_id_is_the_user_name(run_id: str) -> None:
    url = urllib.parse.urlsplit(client_url("http://0.0.0.0:8888", run_id))
    assert urllib.parse.unquote(url.username or "") == run_id
    assert url.password, "some clients send no user name without a password"
    assert (url.hostname, url.port) == ("127.0.0.1", 8888)


@pytest.mark.parametrize("run_id", ["", "a:b", "a b", "a\n", "ü", "\x7f", "x" * 256])
def test_a_run_id_that_could_become_another_is_refused(run_id: str) -> None:
    with pytest.raises(ValueError, match="none of them a colon"):
        client_url(URL, run_id)


def test_sh_sets_exactly_these_values() -> None:
    wanted = {"HTTP_PROXY": "http://r%27:run@127.0.0.1:1", "SSL_CERT_FILE": AWKWARD, "ALL_PROXY": None}
    script = format_environment(wanted, "sh") + "\nenv -0"
    current = {"PATH": os.environ["PATH"], "ALL_PROXY": "socks5://x", "KEPT": "1"}
    out = subprocess.run(["sh", "-euc", script], env=current, capture_output=True, check=True).stdout
    environ = dict(line.split("=", 1) for line in out.decode().split("\0") if line)
    environ.pop("PWD", None), environ.pop("_", None)
    assert environ == apply_changes(wanted, current)


def test_sh_evaluates_it_as_the_help_says() -> None:
    lines = format_environment({"SSL_CERT_FILE": AWKWARD, "NODE_USE_ENV_PROXY": "1"}, "sh")
    out = subprocess.run(
        ["sh", "-euc", 'eval "$(printenv LINES_)"; printf %s "$SSL_CERT_FILE$NODE_USE_ENV_PROXY"'],
        env={"PATH": os.environ["PATH"], "LINES_": lines},
        capture_output=True,
        check=True,
    ).stdout
    assert out.decode() == AWKWARD + "1"


def test_fish() -> None:
    assert format_environment({"A": "it's \\ $x", "B": None}, "fish").splitlines() == [
        r"set -gx A 'it\'s \\ $x'",
        "set -e B",
    ]


def test_powershell() -> None:
    assert format_environment({"A": "it's ’ $x `", "B": None}, "powershell").splitlines() == [
        "$Env:A = 'it''s ’’ $x `'",
        "Remove-Item Env:B -ErrorAction SilentlyContinue",
    ]
