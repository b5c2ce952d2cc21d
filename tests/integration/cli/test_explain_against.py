"""`onceproxy explain --against`: two requests, and the proxy that takes them the same way."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onceproxy.cli import main
from onceproxy.config.load import load
from onceproxy.serve import start
from raw_client import post
from upstreams import Upstream

DOCS = (Path(__file__).parents[3] / "docs" / "routes.md").read_text("utf-8")
SECTION = DOCS.partition("### Why two tries are not the same action\n")[2].partition("\n## ")[0]
RULES = """version: 1
listen: 127.0.0.1:0
admin: {listen: '127.0.0.1:0'}
routes:
- name: orders
  match: {path: /orders}
  fresh_key: warn
- {name: reads, match: {path: /search}, guard: false}
"""
FIRST = ["POST", "http://a.com/orders?x=1", "-H", "X-Try: 1", "-H", "Idempotency-Key: k-1", "-d", "a"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with routes."""
    file = tmp_path / "onceproxy.yaml"
    file.write_text(RULES)
    return file


def explain(*arguments: str, config: Path, stdin: bytes = b"") -> Result:
    options = ["--config", str(config), "--data-dir", str(config.parent / "data")]
    return CliRunner().invoke(main, ["explain", *arguments, *options], input=stdin)


def against(*arguments: str, config: Path, stdin: bytes = b"") -> dict[str, Any]:
    result = explain(*FIRST, *arguments, "--json", config=config, stdin=stdin)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)["against"]
    return found


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)


def test_the_example_of_the_docs(tmp_path: Path) -> None:
    config = tmp_path / "empty.yaml"
    config.write_text("version: 1\n")
    [command], [told] = blocks("sh"), blocks("text")

    result = explain(*shlex.split(command.replace("\\\n", ""))[2:], config=config)

    assert result.output.endswith(told)


def test_the_file_of_the_docs(tmp_path: Path) -> None:
    config, request = tmp_path / "empty.yaml", tmp_path / "request.http"
    config.write_text("version: 1\n")
    [command], [text] = blocks("sh"), blocks("http")
    first = shlex.split(command.partition("--against")[0].replace("\\\n", ""))[2:]

    for line_end in ("\n", "\r\n"):
        request.write_bytes(text.replace("\n", line_end).encode())
        result = explain(*first, "--against", str(request), config=config)

        assert "ONE ACTION: the second is a copy of the first" in result.output
        assert "does not count: header x-request-id" in result.output


def test_parts_that_are_changed(config: Path) -> None:
    key = against("--against-header", "idempotency-key: k-2", config=config)
    none = against("--against-header", "Idempotency-Key:", config=config)
    body = against("--against-data", "b", config=config)
    url = against("--against-url", "http://a.com/orders?x=2", "--against-header", "X-Try: 2", config=config)
    user = against("--against-user", "ann", config=config)

    assert (key["relation"], key["content"]) == ("other", [])
    assert key["identity"] == [{"what": "key", "first": "k-1", "second": "k-2"}]
    assert none["identity"][1:] == [{"what": "key", "first": "k-1"}]
    assert (body["relation"], body["content"]) == (
        "key-reused",
        [{"what": "body", "first": ["a"], "second": ["b"]}],
    )
    assert (url["content"], url["ignored"]) == (
        [{"what": "query", "first": ["x=1"], "second": ["x=2"]}],
        ["header x-try"],
    )
    assert user["identity"] == [{"what": "scope", "first": [], "second": ["user:ann"]}]


def test_a_file_with_parts_changed(config: Path) -> None:
    text = b"POST http://a.com/orders?x=1 HTTP/1.1\nIdempotency-Key: k-1\nContent-Length: 2\n\na\n"

    exact = against("--against", "-", config=config, stdin=text)
    changed = against("--against", "-", "--against-data", "a", config=config, stdin=text)

    assert (exact["relation"], changed["relation"]) == ("key-reused", "copy")


def test_what_passes_or_looks_repeated_is_told_in_words(config: Path) -> None:
    passes = explain(*FIRST, "--against-url", "http://a.com/search", config=config).output
    repeated = explain(*FIRST, "--against-header", "Idempotency-Key: k-2", config=config).output
    refused = explain(*FIRST, "--against-header", "Idempotency-Key: k 2", config=config).output

    assert "the second passes through unguarded: the route's `guard` says so" in passes
    assert "they ask for the same under two keys: the route's `fresh_key` looks for that" in repeated
    assert "the second is refused: Idempotency-Key holds something else" in refused


def test_routes_that_nearly_matched_are_told_with_the_condition_that_failed(config: Path) -> None:
    config.write_text(RULES.replace("{path: /orders}", "{path: /orders, methods: [PUT]}"))

    assert "not orders: method is POST, not PUT" in explain(*FIRST, config=config).output


async def test_the_proxy_takes_them_the_same_way(config: Path, database_url: str) -> None:
    settings = load(
        config, environ={}, flags={"database": database_url, "data_dir": str(config.parent / "d")}
    )
    async with Upstream() as upstream, await start(settings) as proxy:
        url = f"{upstream.url}/orders"
        first = await post(proxy.url, url, "Idempotency-Key: k-1", body=b"a")
        for header, data, relation in (
            ("Idempotency-Key: k-1", b"a", "copy"),
            ("Idempotency-Key: k-1", b"b", "key-reused"),
            ("Idempotency-Key: k-2", b"a", "other"),
        ):
            before = upstream.executions
            answer = await post(proxy.url, url, header, body=data)
            result = explain(
                *("POST", url, "-H", "Idempotency-Key: k-1", "-d", "a", "--json"),
                *("--against-header", header, "--against-data", data.decode()),
                config=config,
            )
            found = json.loads(result.stdout)

            assert found["request_id"] == first.one("Onceproxy-Request-Id")
            assert found["against"]["relation"] == relation
            assert found["against"]["request_id"] == answer.one("Onceproxy-Request-Id")
            assert (answer.status == 422) == (relation == "key-reused")
            assert upstream.executions - before == (1 if relation == "other" else 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "--against -: its first line must be METHOD URL"),
        (b"POST\n\n", "--against -: its first line must be METHOD URL"),
        (b"POST /x HTTP/1.1\n\n", "--against -: it must start with http:// or https://, or be a path under"),
        (b"POST http://a.com/x\nBad\n\n", "--against - Bad: it must be 'Name: value'"),
        (b"POST http://a.com/x\nTransfer-Encoding: chunked\n\n", "without Transfer-Encoding"),
    ],
)
def test_wrong_requests(config: Path, text: bytes, words: str) -> None:
    result = explain(*FIRST, "--against", "-", config=config, stdin=text)

    assert result.exit_code == 2
    assert words in result.output


def test_wrong_options(config: Path) -> None:
    for option, value, words in (
        ("--against", "/none", "--against /none: can't be read"),
        ("--against-url", "a.com", "--against-url: the target must start with"),
        ("--against-header", "x", "--against-header x: it must be"),
        ("--against-data", "@/none", "--against-data @/none: can't be read"),
    ):
        result = explain(*FIRST, option, value, config=config)

        assert (result.exit_code, words in result.output) == (2, True)
