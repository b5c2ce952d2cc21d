"""`onceproxy receipts resolve` and `purge`: what a person says holds, is kept, and wakes whoever waits."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from integration.cli.conftest import Invoke
from onceproxy.core.receipts import Claim, Receipt, Source
from onceproxy.core.states import State
from onceproxy.store.postgres import PostgresStore
from stores import OpenStore, an_action, completed, in_doubt, released

SETTLEMENTS = {"done": completed(), "refused": released(), "unknown": in_doubt()}
NOTE = ("--note", "seen in the dashboard")


@pytest.fixture(autouse=True)
async def store(open_store: OpenStore, database_url: str, monkeypatch: pytest.MonkeyPatch) -> PostgresStore:
    """A store with three actions; the commands find their database in the environment."""
    monkeypatch.setenv("ONCEPROXY_DATABASE", database_url)
    monkeypatch.setenv("LOGNAME", "ada")
    store = await open_store()
    for name, settlement in SETTLEMENTS.items():
        claim = await store.claim(an_action(name))
        assert isinstance(claim, Claim)
        await store.settle(claim, settlement)
    return store


def id_of(name: str) -> str:
    return str(an_action(name).request_id)


async def told(onceproxy: Invoke, *arguments: str) -> tuple[int, str, str]:
    """Run a command beside the test's event loop: exit code, stdout, stderr."""
    result = await asyncio.to_thread(onceproxy, "receipts", *arguments)
    return result.exit_code, result.stdout, result.stderr


async def read(store: PostgresStore, name: str) -> Receipt:
    receipt = await store.read(an_action(name).request_id)
    assert receipt is not None
    return receipt


async def last_event(database: asyncpg.Connection, name: str) -> tuple[Any, ...]:
    row = await database.fetchrow(
        "SELECT kind, reason, detail FROM events WHERE request_id = $1 ORDER BY at DESC LIMIT 1",
        an_action(name).request_id.digest,
    )
    assert row is not None
    return tuple(row)


async def test_it_happened(
    onceproxy: Invoke, store: PostgresStore, database: asyncpg.Connection, tmp_path: Path
) -> None:
    (tmp_path / "order.json").write_bytes(b'{"id": 7}')
    arguments = (
        *("resolve", id_of("unknown"), "--happened", "--status", "201", "--body", "@order.json"),
        *("--header", "Content-Type: application/json", "--header", "Set-Cookie: a=b", *NOTE),
    )

    assert await told(onceproxy, *arguments) == (
        0,
        f"{id_of('unknown')} is completed: copies get the response you entered\n",
        "",
    )

    receipt = await read(store, "unknown")
    assert (receipt.state, receipt.source) == (State.COMPLETED, Source.OPERATOR)
    assert receipt.response is not None
    assert (receipt.response.status, receipt.response.reason) == (201, b"Created")
    assert receipt.response.headers == ((b"Content-Type", b"application/json"),)
    assert receipt.response.body.read() == b'{"id": 7}'
    event = await last_event(database, "unknown")
    assert event == ("confirmed", "operator", "ada: seen in the dashboard")
    # The same word again changes nothing, and another word is refused.
    code, out, _ = await told(onceproxy, *arguments)
    assert (code, "nothing was changed" in out) == (0, True)
    for other in (("--did-not-happen",), ("--happened", "--status", "200")):
        code, out, error = await told(onceproxy, "resolve", id_of("unknown"), *other, *NOTE)
        assert (code, out) == (1, "")
        assert f"{id_of('unknown')} is completed. Only what is in doubt can be resolved." in error


async def test_it_did_not_happen(
    onceproxy: Invoke, store: PostgresStore, database: asyncpg.Connection
) -> None:
    arguments = ("resolve", id_of("unknown"), "--did-not-happen", *NOTE)

    code, out, _ = await told(onceproxy, *arguments)

    assert (code, out) == (0, f"{id_of('unknown')} is released: the next copy is sent\n")
    assert (await read(store, "unknown")).state is State.RELEASED
    assert (await last_event(database, "unknown"))[0] == "refuted"
    code, out, _ = await told(onceproxy, *arguments)
    assert (code, "nothing was changed" in out) == (0, True)
    claim = await store.claim(an_action("unknown"))
    assert isinstance(claim, Claim)
    assert (claim.attempt, claim.doubtful) == (2, False)


async def test_a_claim_whose_owner_is_gone_can_be_resolved(
    onceproxy: Invoke, store: PostgresStore, database: asyncpg.Connection
) -> None:
    await store.claim(an_action("lost"))
    assert (await told(onceproxy, "resolve", id_of("lost"), "--did-not-happen", *NOTE))[0] == 1
    await database.execute("UPDATE instances SET lease_until = clock_timestamp()")

    assert (await told(onceproxy, "resolve", id_of("lost"), "--did-not-happen", *NOTE))[0] == 0


async def test_a_running_proxy_hears_of_it(onceproxy: Invoke, store: PostgresStore) -> None:
    with store.watch(an_action("unknown").request_id) as watch:
        waiting = asyncio.create_task(watch.news(600))
        await told(onceproxy, "resolve", id_of("unknown"), "--happened", *NOTE)

        async with asyncio.timeout(20):
            await waiting


@pytest.mark.parametrize(("name", "state"), [("done", "completed"), ("refused", "released")])
async def test_what_is_settled_is_not_resolved(onceproxy: Invoke, name: str, state: str) -> None:
    code, out, error = await told(onceproxy, "resolve", id_of(name), "--happened", *NOTE)

    assert (code, out) == (1, "")
    assert error == f"Error: {id_of(name)} is {state}. Only what is in doubt can be resolved.\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("resolve", "ID", *NOTE), "say --happened or --did-not-happen"),
        (("resolve", "ID", "--happened"), "--note"),
        (("resolve", "ID", "--happened", "--note", " "), "a note says why"),
        (("resolve", "ID", "--did-not-happen", "--status", "200", *NOTE), "use them with --happened"),
        (("resolve", "ID", "--happened", "--status", "99", *NOTE), "99"),
        (("resolve", "ID", "--happened", "--header", "no colon", *NOTE), "Name: value"),
        (("resolve", "ID", "--happened", "--header", "a: b\nc: d", *NOTE), "what a header can't"),
        (("resolve", "ID", "--happened", "--body", "@missing", *NOTE), "can't read missing"),
        (("resolve", "oid_x", "--happened", *NOTE), "is no request_id"),
        (("purge", "ID"), "--note"),
    ],
)
async def test_wrong_usage(
    onceproxy: Invoke, store: PostgresStore, arguments: tuple[str, ...], why: str
) -> None:
    given = [id_of("unknown") if argument == "ID" else argument for argument in arguments]

    code, out, error = await told(onceproxy, *given)

    assert (code, out) == (2, "")
    assert why in re.sub(r"\s+", " ", error)
    assert (await read(store, "unknown")).state is State.IN_DOUBT


@pytest.mark.parametrize("name", ["done", "refused"])
async def test_a_purge_makes_room_for_a_new_action(
    onceproxy: Invoke, store: PostgresStore, database: asyncpg.Connection, name: str
) -> None:
    code, out, _ = await told(onceproxy, "purge", id_of(name), "--note", "a test order")

    assert (code, out) == (0, f"{id_of(name)} is purged: the next copy of its action is a new one\n")
    assert await store.read(an_action(name).request_id) is None
    assert await last_event(database, name) == ("purged", "operator", "ada: a test order")
    claim = await store.claim(an_action(name))
    assert isinstance(claim, Claim)
    assert claim.attempt == 1


async def test_what_is_not_settled_is_not_purged(onceproxy: Invoke, store: PostgresStore) -> None:
    await store.claim(an_action("at work"))
    for name, why in (
        ("unknown", "is in_doubt. Say first what became of it: `onceproxy receipts resolve`."),
        ("at work", "is claimed. Only what is settled can be purged."),
        ("never", "there is no receipt"),
    ):
        code, _, error = await told(onceproxy, "purge", id_of(name), *NOTE)

        assert code == 1
        assert why in error


async def test_what_to_do_is_shown_and_then_what_was_done(onceproxy: Invoke) -> None:
    _, shown, _ = await told(onceproxy, "show", id_of("unknown"))
    assert f"onceproxy receipts resolve {id_of('unknown')} --happened --status 201" in shown
    assert f"onceproxy receipts resolve {id_of('unknown')} --did-not-happen --note" in shown

    await told(onceproxy, "resolve", id_of("unknown"), "--happened", "--body", "by hand", *NOTE)

    _, shown, _ = await told(onceproxy, "show", id_of("unknown"))
    assert "response: 200 OK (7 bytes; entered by a person)" in shown
    assert "confirmed, attempt 1 operator ada: seen in the dashboard" in shown
    assert "next step" not in shown
    _, document, _ = await told(onceproxy, "show", id_of("unknown"), "--json")
    assert json.loads(document)["source"] == "operator"


async def test_a_tombstone_is_shown(onceproxy: Invoke, database: asyncpg.Connection) -> None:
    await database.execute("UPDATE receipts SET expires_at = clock_timestamp() WHERE state = 'completed'")

    code, listed, _ = await told(onceproxy, "list", "--state", "tombstone")

    assert (code, id_of("done") in listed) == (0, True)
    assert (await told(onceproxy, "show", id_of("done")))[1].splitlines()[1].startswith("tombstone")


async def test_a_database_that_is_not_there(onceproxy: Invoke, empty_database_url: str) -> None:
    for url, why in (
        (empty_database_url, "onceproxy migrate"),
        ("postgresql://ada:s3cret@127.0.0.1:1/x", "can't be reached"),
    ):
        code, _, error = await told(onceproxy, "purge", id_of("done"), "--database", url, *NOTE)

        assert code == 1
        assert why in error
        assert "s3cret" not in error
