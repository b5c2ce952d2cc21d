"""`onceproxy rekey`: what it says, and its exit codes."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

from integration.cli.conftest import Invoke
from onceproxy.core.receipts import Claim
from onceproxy.store.postgres import PostgresStore
from stores import an_action, completed


def configure(*ids: str) -> None:
    keys = [{"id": one, "base64": base64.b64encode(one.encode() * 16).decode()} for one in ids]
    Path("onceproxy.yaml").write_text(f"version: 1\nencryption: {json.dumps({'keys': keys})}\n")


async def a_receipt(url: str) -> str:
    async with await PostgresStore.open(url, pool_size=2) as store:
        claim = await store.claim(an_action())
        assert isinstance(claim, Claim)
        await store.settle(claim, completed())
        return str(claim.request_id)


def test_from_nothing_to_a_key_to_another(onceproxy: Invoke, database_url: str) -> None:
    request_id = asyncio.run(a_receipt(database_url))
    database = ("--database", database_url)

    assert onceproxy("rekey", *database).exit_code == 2

    configure("k1")
    result = onceproxy("rekey", *database)
    assert (result.exit_code, result.stdout.split(",")[1]) == (0, " 1 encrypted with k1")

    configure("k2")
    result = onceproxy("rekey", *database)
    assert result.exit_code == 1
    assert "the key of the digests (table secrets) can't be read" in result.stderr
    assert "'k1', which is not in encryption.keys" in result.stderr
    shown = onceproxy("receipts", "show", request_id, *database)
    assert "response: 201; the rest can't be read: it is encrypted with the key 'k1'" in shown.stdout
    assert onceproxy("receipts", "show", request_id, "--body", *database).exit_code == 1

    configure("k2", "k1")
    assert onceproxy("rekey", "--rest", "0", *database).exit_code == 0

    configure("k2")
    assert onceproxy("receipts", "show", request_id, "--body", *database).stdout == '{"id": "ch_1"}'
    [row] = onceproxy("receipts", "list", "--json", *database).stdout.splitlines()
    assert json.loads(row)["body_size"] == 14
