"""`onceproxy migrate`: by URL, for the embedded database, and what keeps it from it."""

from __future__ import annotations

from pathlib import Path

from integration.cli.conftest import Invoke
from onceproxy.store.schema import all_migrations

DONE = f"the schema is at version {len(all_migrations())}\n"


def test_a_new_database_and_one_that_is_current(onceproxy: Invoke, empty_database_url: str) -> None:
    for _ in range(2):
        result = onceproxy("migrate", "--database", empty_database_url)
        assert (result.exit_code, result.output) == (0, DONE)

    assert onceproxy("receipts", "list", "--database", empty_database_url).output == "no receipts\n"


def test_the_embedded_database_is_stopped_again(onceproxy: Invoke, data_dir: Path) -> None:
    result = onceproxy("migrate")

    assert (result.exit_code, result.stdout) == (0, DONE)
    assert not (data_dir / "postgres" / "postmaster.pid").exists()
    assert onceproxy("receipts", "list").stdout == "no receipts\n"


def test_a_database_that_refuses(onceproxy: Invoke, empty_database_url: str) -> None:
    result = onceproxy("migrate", "--database", empty_database_url.replace("/test_", "/no_test_"))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("onceproxy: database no_test_")
    assert "does not exist" in result.stderr


def test_a_database_that_does_not_answer(onceproxy: Invoke) -> None:
    Path("onceproxy.yaml").write_text("version: 1\nlimits: {database_timeout: 200ms}\n")
    result = onceproxy("migrate", "--database", "postgresql://me:s3cret@127.0.0.1:1/receipts")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "can't be reached (tried for 0.2 s)" in result.stderr
    assert "s3cret" not in result.stderr
