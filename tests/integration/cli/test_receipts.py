"""`onceproxy receipts`: what a person, or a script, gets to see of what happened."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from integration.cli.conftest import Invoke
from onceproxy.core.receipts import Claim
from stores import OpenStore, a_response, an_action, completed, in_doubt, released

LONG = "https://api.example.com/" + "a-long-path/" * 20
BODY = bytes(range(256))


@pytest.fixture(autouse=True)
async def actions(open_store: OpenStore, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four actions, the newest last; the commands find their database in the environment."""
    monkeypatch.setenv("ONCEPROXY_DATABASE", database_url)
    store = await open_store()
    answer = a_response(
        201, BODY, ((b"X-A", b"[bold]1[/]"), (b"x-a", b"caf\xe9"), (b"x-b", b"\x9b2J\x1b[2J"))
    )
    for name, url, settlement in (
        ("done", LONG, completed(answer)),
        ("large", "https://api.example.com/[red]large[/]", completed(keep_body=False)),
        ("refused", "https://other.example/refused", released()),
        ("unknown", "https://api.example.com/unknown", in_doubt()),
    ):
        claim = await store.claim(an_action(name, url=url, route=f"r-{name}"))
        assert isinstance(claim, Claim)
        await store.settle(claim, settlement)


def id_of(name: str) -> str:
    return str(an_action(name).request_id)


def listed(onceproxy: Invoke, *arguments: str) -> list[dict[str, Any]]:
    result = onceproxy("receipts", "list", "--json", *arguments)
    assert result.exit_code == 0
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("columns", ["20", "80", "500"])
def test_a_list_shows_whole_ids_on_one_line_each(
    onceproxy: Invoke, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    result = onceproxy("receipts", "list")

    assert result.exit_code == 0
    head, *lines = (line.rstrip() for line in result.stdout.splitlines())
    assert head.split() == ["state", "status", "age", "request_id", "request"]
    assert [re.split(" {2,}", line.strip())[:2] for line in lines[:4]] == [
        ["in_doubt", "connection-lost"],
        ["released", "429"],
        ["completed", "201"],
        ["completed", "201"],
    ]
    names = ("unknown", "refused", "large", "done")
    assert [line.split()[3] for line in lines[:4]] == [id_of(name) for name in names]
    assert lines[2].endswith("POST https://api.example.com/[red]large[/]")
    assert lines[3].endswith(LONG)
    assert lines[5].startswith("1 in doubt: `onceproxy receipts show ID` shows the evidence.")


def test_there_is_no_colour_where_nobody_looks(onceproxy: Invoke) -> None:
    assert "\x1b" not in onceproxy("receipts", "list").stdout
    assert "\x1b" not in onceproxy("receipts", "show", id_of("unknown")).stdout


def test_lists_are_filtered(onceproxy: Invoke) -> None:
    def names(*arguments: str) -> list[str]:
        return [row["route"].removeprefix("r-") for row in listed(onceproxy, *arguments)]

    assert names() == ["unknown", "refused", "large", "done"]
    assert names("--state", "in_doubt") == ["unknown"]
    assert names("--route", "r-done") == ["done"]
    assert names("--host", "other.example") == ["refused"]
    assert names("--limit", "1") == ["unknown"]
    assert names("--since", "1h", "--state", "completed") == ["large", "done"]
    assert onceproxy("receipts", "list", "--route", "none").stdout == "no receipts\n"
    assert listed(onceproxy, "--route", "none") == []


def test_a_line_of_a_list_for_programs(onceproxy: Invoke) -> None:
    (row,) = listed(onceproxy, "--route", "r-done")

    assert row["request_id"] == id_of("done")
    assert (row["state"], row["attempt"], row["status"], row["url"]) == ("completed", 1, 201, LONG)
    assert (row["scope"], row["body_size"]) == (["run-42"], len(BODY))


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--state", "lost"),
        ("list", "--since", "3x"),
        ("list", "--limit", "0"),
        ("show", "oid_nothing"),
        ("show",),
    ],
)
def test_wrong_usage(onceproxy: Invoke, arguments: tuple[str, ...]) -> None:
    result = onceproxy("receipts", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")


def test_a_receipt_is_shown(onceproxy: Invoke) -> None:
    result = onceproxy("receipts", "show", id_of("done"))

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == id_of("done")
    assert lines[1].startswith("completed, attempt 1")
    assert f"POST {LONG}" in lines
    assert "response: 201 Created (256 bytes)" in lines
    assert "  X-A: [bold]1[/]" in lines
    assert "  x-a: café" in lines
    assert r"  x-b: \x9b2J\x1b[2J" in lines  # would clear the terminal
    assert "evidence: body-received" in lines
    history = lines[lines.index("history (UTC)") + 1 :]
    assert [line.split(" ", 4)[4] for line in history] == [
        "claimed, attempt 1",
        "completed, attempt 1 status-201 body-received",
    ]


def test_an_unknown_outcome_is_shown_with_its_evidence_and_what_to_do(onceproxy: Invoke) -> None:
    shown = onceproxy("receipts", "show", id_of("unknown")).stdout

    assert "evidence: sent, connection-lost, reset by peer\n" in shown
    assert "it is not sent again. Look at the upstream" in shown


def test_a_receipt_for_programs(onceproxy: Invoke) -> None:
    document = json.loads(onceproxy("receipts", "show", id_of("done"), "--json").stdout)

    assert (document["request_id"], document["state"]) == (id_of("done"), "completed")
    assert document["response"]["headers"] == [
        ["X-A", "[bold]1[/]"],
        ["x-a", "café"],
        ["x-b", "\x9b2J\x1b[2J"],
    ]
    assert document["response"]["body_kept"] is True
    assert [event["kind"] for event in document["events"]] == ["claimed", "completed"]
    unknown = json.loads(onceproxy("receipts", "show", id_of("unknown"), "--json").stdout)
    assert unknown["response"] is None
    assert unknown["evidence"] == {
        "phase": "sent",
        "failure": "connection-lost",
        "detail": "reset by peer",
    }


def test_a_body_comes_as_it_is(onceproxy: Invoke) -> None:
    result = onceproxy("receipts", "show", id_of("done"), "--body")

    assert (result.exit_code, result.stdout_bytes) == (0, BODY)


@pytest.mark.parametrize("name", ["large", "unknown"])
def test_a_body_that_is_not_there(onceproxy: Invoke, name: str) -> None:
    result = onceproxy("receipts", "show", id_of(name), "--body")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "holds no body" in result.stderr


def test_a_body_over_the_limit_is_said_to_be_missing(onceproxy: Invoke) -> None:
    assert "not kept: over the limit" in onceproxy("receipts", "show", id_of("large")).stdout


def test_a_receipt_that_is_not_there(onceproxy: Invoke) -> None:
    result = onceproxy("receipts", "show", id_of("never"))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: there is no receipt {id_of('never')}\n"


def test_a_database_that_was_never_used(onceproxy: Invoke, empty_database_url: str) -> None:
    result = onceproxy("receipts", "list", "--database", empty_database_url)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "run `onceproxy migrate`" in result.stderr
