"""The programs of docs/functions.md, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

import onceproxy
from processes import clean_environment
from stores import on_server

ROOT = Path(__file__).parents[3]
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/functions.md").read_text("utf-8"), re.M | re.S)


def test_the_first_program_sends_one_mail(receipts_url: str, data_dir: Path, tmp_path: Path) -> None:
    environment = {
        **clean_environment(),
        "ONCEPROXY_DATABASE": receipts_url,
        "ONCEPROXY_DATA_DIR": str(data_dir),
    }
    printed = ""
    for _ in range(2):
        printed += subprocess.run(
            [sys.executable, "-c", PROGRAMS[0]],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    result = "{'order': 'order-7', 'sent_to': 'ada@example.com'}\n"
    assert printed == "sending a mail to ada@example.com\n" + result * 4


async def test_the_others_do_what_is_said(
    receipts_url: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCEPROXY_DATA_DIR", str(data_dir))
    charged: list[Any] = []

    async def charge(order: str, idempotency_key: str) -> dict[str, str]:
        charged.append((order, idempotency_key))
        return {"order": order}

    found = SimpleNamespace(id=5)
    names: dict[str, Any] = {
        "vendor": SimpleNamespace(charge=charge),
        "bank": SimpleNamespace(find=lambda reference: [found] if reference == "oid_there" else []),
    }
    for program in PROGRAMS[1:]:
        text = program.replace("postgresql://user:password@host/onceproxy", receipts_url)
        exec(compile(text, "docs/functions.md", "exec"), names)

    doubt = onceproxy.Doubt("transfer", "oid_there", 1, "", 0.0)
    assert names["ask_the_bank"](doubt) == onceproxy.Found({"id": 5})
    picture = names["Picture"]()
    guard: onceproxy.Guard = names["guard"]
    async with guard:
        for _ in range(2):
            assert await names["pay"]("o-1") == {"order": "o-1"}
            assert await names["pay_in_a_block"]("o-2") == {"order": "o-2"}
            assert guard.execute_sync("picture", 1, lambda: b"png", returns=picture) == b"png"
        await on_server(
            receipts_url,
            "CREATE TABLE accounts (id int, balance int)",
            "INSERT INTO accounts VALUES (1, 100)",
        )
        connection = await asyncpg.connect(receipts_url)
        try:
            for _ in range(2):
                assert await names["transfer"](connection, "o-3") == {"moved": 5}
            assert await connection.fetchval("SELECT balance FROM accounts") == 95
        finally:
            await connection.close()
    assert [order for order, _ in charged] == ["o-1", "o-2"]
    assert all(key.startswith("oid_") for _, key in charged)
