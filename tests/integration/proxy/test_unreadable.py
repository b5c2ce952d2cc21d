"""Receipts that can't be decrypted: told by name, counted, and never a reason to send again."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from integration.proxy.conftest import StartProxy
from raw_client import a_request, ask
from upstreams import Upstream, answer

KEYS = [{"id": name, "base64": base64.b64encode(name.encode() * 16).decode()} for name in ("k1", "k2")]


@pytest.mark.parametrize("size", [5, 700_000])
async def test_a_copy_is_refused_and_a_later_one_with_the_key_is_answered(
    start_proxy: StartProxy, upstream: Upstream, size: int
) -> None:
    proxy = await start_proxy(encryption={"keys": KEYS[:1]})
    without = await start_proxy(encryption={"keys": KEYS[1:]})
    upstream.will(answer(201, b"x" * size))
    request = a_request("POST", f"{upstream.url}/pay", body=b"1")
    first = await ask(proxy.url, request)

    refused = await ask(without.url, request)

    assert refused.status == 409
    problem = json.loads(refused.body)
    assert problem["type"] == "urn:onceproxy:problem:receipt-unreadable"
    assert problem["upstream_status"] == 201
    assert "'k1', which is not in encryption.keys" in problem["detail"]
    metrics = await ask(without.admin_url, a_request("GET", "/metrics"))
    assert b'onceproxy_receipts_unreadable_total{route="default"} 1.0' in metrics.body
    again = await ask(proxy.url, request)
    assert again.replayed
    assert again.body == first.body
    assert upstream.executions == 1


async def test_the_keys_of_a_file_and_of_the_environment(
    start_proxy: StartProxy, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(KEYS[0]["base64"] + "\n")
    monkeypatch.setenv("A_KEY", KEYS[0]["base64"])
    places: list[dict[str, Any]] = [{"key_file": str(tmp_path / "key")}, {"key_env": "A_KEY"}, KEYS[0]]
    request = a_request("POST", f"{upstream.url}/pay", body=b"1")

    for place in places:
        proxy = await start_proxy(encryption={"keys": [{"id": "k1", **place}]})
        assert (await ask(proxy.url, request)).status == 201

    assert upstream.executions == 1
