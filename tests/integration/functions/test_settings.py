"""Guards go by the same settings as the commands: from arguments, a file, the environment."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from onceproxy import Guard, ResultNotKept, ResultUnreadable
from onceproxy.config.load import ConfigError
from processes import clean_environment
from tills import Till


def a_guard(url: str, data_dir: Path, file: Path, text: str) -> Guard:
    """A guard with a configuration file."""
    file.write_text(f"version: 1\n{text}")
    return Guard(url, data_dir=data_dir, config=file)


def test_a_result_over_the_limit_is_not_kept(
    receipts_url: str, data_dir: Path, tmp_path: Path, till: Till, key: str
) -> None:
    with a_guard(receipts_url, data_dir, tmp_path / "o.yaml", "limits: {receipt_body: 1KiB}\n") as guard:
        till.next = "x" * 2000
        assert guard.execute_sync("over-the-limit", key, lambda: till.act(key)) == till.next
        with pytest.raises(ResultNotKept, match="receipt_body"):
            guard.execute_sync("over-the-limit", key, lambda: till.act(key))
    assert len(till.calls) == 1


async def test_results_are_encrypted_where_there_is_a_key(
    database_url: str, tmp_path: Path, till: Till, key: str
) -> None:
    (tmp_path / "key").write_text(base64.b64encode(os.urandom(32)).decode())
    text = f"encryption: {{keys: [{{id: one, key_file: {tmp_path / 'key'}}}]}}\n"
    till.next = "a secret result"
    connection = await asyncpg.connect(database_url)
    try:
        async with a_guard(database_url, tmp_path, tmp_path / "o.yaml", text) as sealing:
            for _ in range(2):
                assert await sealing.execute("sealed", key, lambda: till.act_later(key)) == till.next
            async with connection.transaction():
                transaction = sealing.transaction(connection)
                for _ in range(2):
                    done = await transaction.execute("sealed-too", key, lambda: till.act_later(key))
                    assert done == till.next
        rows = await connection.fetch("SELECT * FROM receipts WHERE route IN ('sealed', 'sealed-too')")
        assert len(rows) == 2
        assert not [row for row in rows if b"secret" in row["body"]]
        async with Guard(database_url, data_dir=tmp_path) as guard:
            for name in ("sealed", "sealed-too"):
                with pytest.raises(ResultUnreadable, match=r"encryption\.keys"):
                    await guard.execute(name, key, lambda: till.act_later(key))
            with pytest.raises(ResultUnreadable):
                async with connection.transaction():
                    await guard.transaction(connection).execute("sealed", key, lambda: till.act_later(key))
    finally:
        await connection.close()
    assert len(till.calls) == 2


def test_a_configuration_that_is_wrong_is_told(receipts_url: str, data_dir: Path, tmp_path: Path) -> None:
    guard = a_guard(receipts_url, data_dir, tmp_path / "o.yaml", "limits: {lease: never}\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"limits\.lease"):
            guard.open()


DEFAULT = """
from onceproxy import configure, default_guard, once

guard = configure({url!r}, data_dir={data_dir!r}, scope="tenant")
assert default_guard() is guard

@once(name="default")
def act(order: str) -> str:
    return order

print(act({key!r}))
try:
    configure()
except RuntimeError as error:
    print(error)
"""


def test_the_default_guard_is_configured_once(
    receipts_url: str, data_dir: Path, key: str, guard: Guard, till: Till, tmp_path: Path
) -> None:
    program = DEFAULT.format(url=receipts_url, data_dir=str(data_dir), key=key)
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.splitlines() == [key, "configure() comes too late: the default guard has been used"]
    assert ended.stderr == ""

    @guard.once(name="default", scope=lambda order: "tenant")
    def act(order: str) -> Any:
        return till.act(order)

    assert act(key) == key  # the same call: its scope is the same, wherever it is said
