"""Lists and histories for people."""

from __future__ import annotations

import asyncpg
import pytest

from onceproxy.core.receipts import Claim, RequestId
from onceproxy.core.states import State
from onceproxy.store.catalogue import Catalogue
from onceproxy.store.errors import SchemaMissing
from stores import OpenStore, a_response, an_action, completed, in_doubt, released


@pytest.fixture
async def filled(open_store: OpenStore, database: asyncpg.Connection) -> None:
    store, gone = await open_store(), await open_store()
    actions = {
        "done": (store, completed()),
        "refused": (store, released()),
        "unknown": (store, in_doubt()),
        "running": (store, None),
        "orphan": (gone, None),
        "expired": (store, completed()),
    }
    for name, (owner, settlement) in actions.items():
        url = "https://[::1]:8443/v6" if name == "unknown" else f"https://API.example.com/{name}".lower()
        claim = await owner.claim(an_action(name, url=url, route=f"r-{name}"))
        assert isinstance(claim, Claim)
        if settlement is not None:
            await store.settle(claim, settlement)
    await gone.close()
    await database.execute("UPDATE receipts SET expires_at = now() WHERE route = 'r-expired'")
    await database.execute(
        "UPDATE receipts SET created_at = created_at - interval '2 days' WHERE route = 'r-done'"
    )


async def routes(database_url: str, **filters: object) -> list[str]:
    async with await Catalogue.open(database_url) as catalogue:
        rows = await catalogue.list_receipts(**filters)  # type: ignore[arg-type]
        return [row.route.removeprefix("r-") for row in rows]


@pytest.mark.usefixtures("filled")
async def test_lists_show_what_is_asked_for(database_url: str) -> None:
    assert await routes(database_url) == ["expired", "orphan", "running", "unknown", "refused", "done"]
    assert await routes(database_url, limit=2) == ["expired", "orphan"]
    assert await routes(database_url, state=State.IN_DOUBT) == ["orphan", "unknown"]
    assert await routes(database_url, state=State.CLAIMED) == ["running"]
    assert await routes(database_url, state=State.TOMBSTONE) == ["expired"]
    assert await routes(database_url, route="r-done") == ["done"]
    assert await routes(database_url, host="::1") == ["unknown"]
    assert await routes(database_url, host="[::1]:8443") == ["unknown"]
    assert len(await routes(database_url, host="API.example.com")) == 5
    assert await routes(database_url, since=3600, limit=100, host="api.example.com") == [
        "expired",
        "orphan",
        "running",
        "refused",
    ]


@pytest.mark.usefixtures("filled")
async def test_a_receipt_is_shown_with_its_history(database_url: str) -> None:
    async with await Catalogue.open(database_url) as catalogue:
        shown = await catalogue.show(an_action("done").request_id)
        assert await catalogue.show(RequestId(bytes(32))) is None

    assert shown is not None
    receipt, events = shown
    assert receipt.response == a_response()
    assert [(event.kind, event.state) for event in events] == [
        ("claimed", State.CLAIMED),
        ("completed", State.COMPLETED),
    ]
    assert events[1].reason == "status-201"


@pytest.mark.usefixtures("filled")
async def test_looking_changes_nothing(database_url: str, database: asyncpg.Connection) -> None:
    await database.execute("ALTER ROLE postgres SET default_transaction_read_only = on")
    try:
        assert len(await routes(database_url)) == 6
        async with await Catalogue.open(database_url) as catalogue:
            shown = await catalogue.show(an_action("orphan").request_id)
    finally:
        await database.execute("ALTER ROLE postgres RESET default_transaction_read_only")

    assert shown is not None
    assert (shown[0].state, shown[0].lease_left) == (State.CLAIMED, 0)


async def test_a_database_that_was_never_used(empty_database_url: str) -> None:
    with pytest.raises(SchemaMissing, match=r"--data-dir.*migrate"):
        await Catalogue.open(empty_database_url)
