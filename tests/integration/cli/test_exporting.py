"""`onceproxy receipts export`: all of it, as it was at one moment, in a form that others read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from integration.cli.conftest import Invoke
from onceproxy.core.receipts import Claim
from onceproxy.store import exporting
from stores import OpenStore, an_action, completed, in_doubt


@pytest.fixture(autouse=True)
async def actions(
    open_store: OpenStore, database: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCEPROXY_DATABASE", database_url)
    store = await open_store()
    for name, settlement in (("=1+1", completed()), ("unknown", in_doubt())):
        claim = await store.claim(
            an_action(name, url=f"https://{name.strip('=+1') or 'api'}.example/x", route=name)
        )
        assert isinstance(claim, Claim)
        await store.settle(claim, settlement)
    await database.execute("UPDATE receipts SET created_at = '2026-03-01T00:00:00Z' WHERE route = '=1+1'")


def exported(onceproxy: Invoke, *arguments: str) -> list[dict[str, Any]]:
    result = onceproxy("receipts", "export", *arguments)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_receipts(onceproxy: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PREFETCH", 1)
    first, second = exported(onceproxy)
    assert (first["route"], first["state"], first["status"], first["scope"]) == (
        "=1+1",
        "completed",
        201,
        ["run-42"],
    )
    assert first["request_id"] == str(an_action("=1+1").request_id)
    assert first["created_at"] == "2026-03-01T00:00:00+00:00"
    assert (second["state"], second["failure"], second["phase"]) == ("in_doubt", "connection-lost", "sent")
    assert not {"body", "header_values", "credential", "token"} & set(first)


@pytest.mark.parametrize(
    ("arguments", "routes"),
    [
        (("--state", "in_doubt"), ["unknown"]),
        (("--route", "=1+1"), ["=1+1"]),
        (("--host", "Unknown.example"), ["unknown"]),
        (("--since", "1h"), ["unknown"]),
        (("--since", "2026-03-01", "--until", "2026-03-01T01:00+01:00"), []),
        (("--since", "2026-03-01", "--until", "2026-03-02"), ["=1+1"]),
    ],
)
def test_an_extent(onceproxy: Invoke, arguments: tuple[str, ...], routes: list[str]) -> None:
    assert [one["route"] for one in exported(onceproxy, *arguments)] == routes


def test_events(onceproxy: Invoke) -> None:
    events = exported(onceproxy, "--events")
    assert [event["kind"] for event in events] == ["claimed", "completed", "claimed", "in_doubt"]
    assert exported(onceproxy, "--events", "--until", "1h") == []


def test_a_table_holds_no_formulas(onceproxy: Invoke) -> None:
    result = onceproxy("receipts", "export", "--format", "csv")
    first, second = csv.DictReader(io.StringIO(result.stdout))
    assert (first["route"], second["route"]) == ("'=1+1", "unknown")
    assert json.loads(first["scope"]) == ["run-42"]
    assert result.stderr == "2 receipts\n"


def test_a_file_is_whole_or_not_there(
    onceproxy: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "receipts.jsonl"
    result = onceproxy("receipts", "export", "-o", str(file))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"2 receipts in {file}\n")
    whole = file.read_text()
    assert len(whole.splitlines()) == 2
    assert file.stat().st_mode & 0o777 == 0o600

    def breaks(row: object) -> exporting.Document:
        raise OSError("the disk is full")

    monkeypatch.setattr(exporting, "_document", breaks)
    assert onceproxy("receipts", "export", "-o", str(file)).exit_code == 1
    assert file.read_text() == whole
    assert list(tmp_path.iterdir()) == [file]
    assert onceproxy("receipts", "export", "-o", str(tmp_path / "no" / "file")).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--events", "--state", "completed"), "leave them out with --events"),
        (("--since", "yesterday"), "'yesterday' is no time"),
        (("--since", "2026-03-01T00:00"), "has no zone"),
        (("--format", "xml"), "'xml' is not one of 'jsonl', 'csv'"),
    ],
)
def test_wrong_usage(onceproxy: Invoke, arguments: tuple[str, ...], words: str) -> None:
    result = onceproxy("receipts", "export", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
