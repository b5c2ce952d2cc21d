"""`onceproxy explain`, beside a proxy and a database that there are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onceproxy.cli import main
from onceproxy.config.load import load
from onceproxy.core.receipts import RequestId
from onceproxy.serve import start
from onceproxy.store.catalogue import Catalogue
from raw_client import post
from upstreams import Upstream

RULES = """version: 1
listen: 127.0.0.1:0
admin: {listen: '127.0.0.1:0'}
"""
ORDERS = """routes:
- name: orders
  match: {path: /orders, methods: [POST]}
  identity:
    fingerprint: {query: {exclude: [nonce]}, headers: [X-Version], body: {json: {exclude: [$.trace]}}}
  scope: [proxy_user, "header:X-Tenant"]
"""
HEADERS = ("X-Tenant: t-1", "X-Version: 2", "Content-Type: application/json")
BODY = b'{"item": 7, "trace": "x"}'


async def explain(*arguments: str, config: Path, database: str) -> Result:
    options = ["--config", str(config), "--database", database, "--data-dir", str(config.parent / "data")]
    # A command has an event loop of its own.
    return await asyncio.to_thread(CliRunner().invoke, main, ["explain", *arguments, *options])


async def explained(*arguments: str, config: Path, database: str) -> dict[str, Any]:
    result = await explain(*arguments, "--json", config=config, database=database)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a route."""
    file = tmp_path / "onceproxy.yaml"
    file.write_text(RULES + ORDERS)
    return file


async def sent(config: Path, database: str, url: str, *headers: str, body: bytes = BODY) -> str:
    """Send a request through a proxy with that configuration; return its request_id."""
    flags = {"database": database, "data_dir": str(config.parent / "data")}
    async with await start(load(config, environ={}, flags=flags)) as proxy:
        return (await post(proxy.url, url, *headers, body=body)).one("Onceproxy-Request-Id")


def with_headers(*headers: str) -> list[str]:
    return [option for header in headers for option in ("-H", header)]


async def test_it_says_what_the_proxy_does(config: Path, database_url: str) -> None:
    async with Upstream() as upstream:
        url = f"{upstream.url}/orders?b=1&nonce=9"
        for headers in (HEADERS, (*HEADERS, "Idempotency-Key: k-1"), (*HEADERS, "Onceproxy-Action: 2")):
            request_id = await sent(config, database_url, url, *headers)

            found = await explained(
                "POST",
                url.replace("nonce=9", "nonce=10"),
                *with_headers(*headers),
                *("-d", BODY.decode()),
                config=config,
                database=database_url,
            )

            assert found["request_id"] == request_id
            assert (found["route"]["name"], found["action"], found["why"]) == ("orders", True, "method")
            assert found["receipt"]["request_id"] == request_id
            assert found["receipt"]["state"] == "completed"
            assert found["scope"] == ["header:X-Tenant=t-1"]
            assert found["receipts_unavailable"] is None


async def test_a_user_and_a_file_as_body(config: Path, database_url: str, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(BODY)
    async with Upstream() as upstream:
        url = f"{upstream.url}/other"
        request_id = await sent(config, database_url, url, "Proxy-Authorization: Basic cnVuOnB3")

        found = await explained(
            "post", url, "-d", f"@{body}", "--user", "run", config=config, database=database_url
        )

    assert found["request_id"] == request_id
    assert found["scope"] == ["user:run"]


@pytest.mark.parametrize("key", [(), ("Idempotency-Key: k-1",)], ids=["fingerprint", "key"])
@pytest.mark.parametrize("user", [None, "run"])
async def test_every_value_is_what_the_running_proxy_stored(
    config: Path, database_url: str, key: tuple[str, ...], user: str | None
) -> None:
    headers = (*HEADERS, *key)
    asks = () if user is None else ("Proxy-Authorization: Basic cnVuOnB3",)
    async with Upstream() as upstream:
        url = f"{upstream.url}/orders?b=1&nonce=9"
        request_id = await sent(config, database_url, url, *headers, *asks)
    async with await Catalogue.open(database_url, connect_timeout=10) as catalogue:
        [row] = await catalogue.live([RequestId.parse(request_id)])

    found = await explained(
        *("POST", url, *with_headers(*headers), "-d", BODY.decode()),
        *(() if user is None else ("--user", user)),
        config=config,
        database=database_url,
    )

    assert found["request_id"] == str(row.request_id) == request_id
    assert found["fingerprint"] == row.fingerprint.hex()
    assert found["kind"] == row.kind.value == ("key" if key else "fingerprint")
    assert found["scope"] == list(row.scope)
    assert found["scope"] == [*([] if user is None else [f"user:{user}"]), "header:X-Tenant=t-1"]
    assert found["canonical"]["version"] == row.canonical
    assert found["route"]["name"] == row.route
    assert found["key"] == ("k-1" if key else None)


async def test_a_live_receipt_under_former_rules_is_shown_side_by_side(
    config: Path, database_url: str, tmp_path: Path
) -> None:
    before = tmp_path / "before.yaml"
    before.write_text(RULES)
    async with Upstream() as upstream:
        url = f"{upstream.url}/orders"
        old = await sent(before, database_url, url, *HEADERS)
        arguments = ["POST", url, *with_headers(*HEADERS), "-d", BODY.decode()]

        found = await explained(*arguments, config=config, database=database_url)
        told = await explain(*arguments, config=config, database=database_url)

    [former] = [former for former in found["former"] if former["receipt"]]
    assert former["request_id"] == former["receipt"]["request_id"] == old
    assert former["rules"] == "these rules, without any route"
    assert found["receipt"] == {}
    assert found["request_id"] != old
    assert "A RECEIPT UNDER ANOTHER IDENTITY, by these rules, without any route: completed" in told.output
    assert f"request_id: was {old}" in told.output
    assert f"is {found['request_id']}" in told.output
    assert "fingerprint's headers: was {}" in told.output


async def test_a_former_file_gives_the_identity_that_it_gave(
    config: Path, database_url: str, tmp_path: Path
) -> None:
    before = tmp_path / "before.yaml"
    before.write_text(RULES + ORDERS.replace("[nonce]", "[n]"))
    async with Upstream() as upstream:
        url = f"{upstream.url}/orders?nonce=1"
        old = await sent(before, database_url, url, *HEADERS)
        arguments = ["POST", url, *with_headers(*HEADERS), "-d", BODY.decode()]

        without = await explained(*arguments, config=config, database=database_url)
        found = await explained(*arguments, "--former", str(before), config=config, database=database_url)

    assert [former["request_id"] for former in without["former"] if former["receipt"]] == []
    [former] = [former for former in found["former"] if former["receipt"]]
    assert (former["request_id"], former["rules"], former["route"]) == (old, str(before), "orders")
    # Without the file it is at least seen that there is one of that URL.
    assert [(row["request_id"], row["same_fingerprint"]) for row in without["alike"]] == [(old, False)]


async def test_the_same_request_under_another_key_is_seen(config: Path, database_url: str) -> None:
    async with Upstream() as upstream:
        url = f"{upstream.url}/orders"
        other = await sent(config, database_url, url, *HEADERS, "Idempotency-Key: k-1")

        found = await explained(
            *("POST", url, *with_headers(*HEADERS, "Idempotency-Key: k-2"), "-d", BODY.decode()),
            config=config,
            database=database_url,
        )

    assert [(row["request_id"], row["same_fingerprint"]) for row in found["alike"]] == [(other, True)]


async def test_without_a_database_all_but_the_receipts_is_told(config: Path) -> None:
    for database in ("embedded", "postgresql://127.0.0.1:1/none"):
        found = await explained("POST", "http://a.com/orders", config=config, database=database)

        assert found["receipts_unavailable"]
        assert found["request_id"].startswith("oid_")
    assert not (config.parent / "data").exists(), "nothing is started or made"


async def test_what_passes_and_what_is_refused(config: Path) -> None:
    passes = await explain("GET", "http://a.com/x", config=config, database="embedded")
    refused = await explain(
        "POST", "http://a.com/x", "-H", "Idempotency-Key: a b", config=config, database="embedded"
    )

    assert "passes through unguarded: by its method" in passes.output
    assert (passes.exit_code, refused.exit_code) == (0, 1)
    assert "refused: Idempotency-Key holds something else" in refused.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["POST", "a.com"], "URL: the target must start with http:// or https://"),
        (["POST", "/no/mount"], "URL: it must start with http:// or https://, or be a path under a mount"),
        (["POST", "http://a.com", "-H", "x"], "-H x: it must be 'Name: value'"),
        (["POST", "http://a.com", "-d", "@/none"], "-d @/none: can't be read: No such file or directory"),
    ],
)
async def test_wrong_usage(config: Path, arguments: list[str], words: str) -> None:
    result = await explain(*arguments, config=config, database="embedded")

    assert result.exit_code == 2
    assert words in result.output


async def test_a_path_under_a_mount(config: Path) -> None:
    config.write_text(RULES + "mounts: {/shop: 'https://shop.example/v1'}\n")

    found = await explained("POST", "/shop/orders", config=config, database="embedded")

    assert found["url"] == "https://shop.example/v1/orders"


async def test_it_says_where_the_request_may_go(config: Path, database_url: str) -> None:
    config.write_text(RULES + "egress: {deny: [bad.example], private_networks: deny}\n" + ORDERS)
    verdicts = {}
    for url in ("http://bad.example/", "http://10.0.0.1/", "http://localhost/", "http://8.8.8.8/"):
        found = await explained("GET", url, config=config, database=database_url)
        verdicts[url] = (found["egress"]["allowed"], found["egress"]["rule"])
    resolved = await explained("GET", "http://localhost/", "--resolve", config=config, database=database_url)
    told = await explain("GET", "http://localhost/", "--resolve", config=config, database=database_url)

    assert list(verdicts.values()) == [
        (False, "deny-list"),
        (False, "private-network"),
        (None, "allowed"),
        (True, "allowed"),
    ]
    assert resolved["egress"]["allowed"] is False
    assert {"address": "127.0.0.1", "allowed": False, "rule": "loopback"} in resolved["egress"]["addresses"]
    assert "127.0.0.1: loopback: " in told.stdout
