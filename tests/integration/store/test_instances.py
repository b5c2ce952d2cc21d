"""Leases: an owner that is gone leaves doubt behind, and nobody acts when dead."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from integration.store.conftest import History
from onceproxy.core.receipts import Claim, Receipt
from onceproxy.core.states import State
from onceproxy.guard.ports import Settled
from onceproxy.store.connection import Connections
from onceproxy.store.leases import Lease, boottime
from onceproxy.store.lockfiles import InstanceLock, dead_instances
from onceproxy.store.postgres import PostgresStore
from stores import OpenStore, an_action, completed


async def claim(store: PostgresStore, name: str = "pay") -> Claim:
    claimed = await store.claim(an_action(name))
    assert isinstance(claimed, Claim)
    return claimed


async def test_a_claim_of_a_dead_owner_is_in_doubt_for_whoever_claims(
    open_store: OpenStore, database: asyncpg.Connection, history: History
) -> None:
    dead, alive = await open_store(), await open_store()
    lost = await claim(dead)
    await database.execute(
        "UPDATE instances SET lease_until = clock_timestamp() WHERE instance_id = $1", dead.instance
    )

    receipt = await alive.claim(an_action())

    assert isinstance(receipt, Receipt)
    assert (receipt.state, receipt.failure, receipt.lease_left) == (State.IN_DOUBT, "owner-lost", 0)
    assert await history(lost.request_id) == ["claimed", "lost"]


async def test_many_who_see_a_dead_owner_at_once_lose_it_once(
    open_store: OpenStore, database: asyncpg.Connection, history: History
) -> None:
    dead, alive = await open_store(), await open_store()
    lost = await claim(dead)
    await database.execute("UPDATE instances SET ended_at = now() WHERE instance_id = $1", dead.instance)

    receipts = await asyncio.gather(*(alive.read(lost.request_id) for _ in range(20)))

    assert {receipt.state for receipt in receipts if receipt} == {State.IN_DOUBT}
    assert await history(lost.request_id) == ["claimed", "lost"]


async def test_an_owner_that_nobody_knows_is_gone(store: PostgresStore, database: asyncpg.Connection) -> None:
    lost = await claim(store)
    await database.execute("DELETE FROM instances")

    receipt = await store.read(lost.request_id)

    assert receipt is not None
    assert receipt.state is State.IN_DOUBT


async def test_a_clean_stop_hands_over_at_once(open_store: OpenStore) -> None:
    leaving, staying = await open_store(), await open_store()
    held = await claim(leaving)
    before = await staying.read(held.request_id)
    assert before is not None
    assert before.state is State.CLAIMED

    await leaving.close()

    after = await staying.read(held.request_id)
    assert after is not None
    assert after.state is State.IN_DOUBT
    assert not leaving.may_send()


@pytest.mark.parametrize("told", [False, True], ids=["at the next start", "by a neighbour that is told"])
async def test_a_killed_process_is_found_out(
    open_store: OpenStore, database_url: str, tmp_path: Path, history: History, told: bool
) -> None:
    program = f"""
import asyncio, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from stores import an_action
from onceproxy.store.postgres import PostgresStore

async def main():
    store = await PostgresStore.open({database_url!r}, data_dir=Path({str(tmp_path)!r}), pool_size=2)
    await store.claim(an_action())
    print("claimed", flush=True)
    await asyncio.sleep(100)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"claimed\n"
    neighbour = await open_store(data_dir=tmp_path)
    receipt = await neighbour.read(an_action().request_id)
    assert receipt is not None
    assert receipt.state is State.CLAIMED  # its lock is held, so it is alive
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()

    if told:
        await neighbour.bury_the_dead()
        found_by = neighbour
    else:
        found_by = await open_store(data_dir=tmp_path)
    receipt = await found_by.read(an_action().request_id)

    assert receipt is not None
    assert receipt.state is State.IN_DOUBT
    assert await history(an_action().request_id) == ["claimed", "lost"]
    locks = {path.name for path in (tmp_path / "instances").iterdir()}
    assert locks == {f"{neighbour.instance}.lock", f"{found_by.instance}.lock"}


def test_only_a_lock_that_can_be_had_tells_of_a_death(tmp_path: Path) -> None:
    alive, dead = UUID(int=1), UUID(int=2)
    lock = InstanceLock.take(tmp_path, alive)
    assert lock is not None
    (tmp_path / "instances" / f"{dead}.lock").touch()
    (tmp_path / "instances" / "notes.lock").touch()

    assert dead_instances(tmp_path) == [dead]

    lock.drop()
    assert not (tmp_path / "instances" / f"{alive}.lock").exists()


async def test_the_heartbeat_renews_the_lease(open_store: OpenStore, database: asyncpg.Connection) -> None:
    store = await open_store(lease=2, heartbeat=0.1)
    first = await database.fetchval("SELECT lease_until FROM instances")

    async with asyncio.timeout(10):
        while await database.fetchval("SELECT lease_until FROM instances") == first:
            await asyncio.sleep(0.02)

    assert store.may_send()


async def test_the_right_to_send_ends_before_the_lease(database_url: str) -> None:
    now = boottime()
    connections = await Connections.open(database_url, 2)
    lease = Lease(connections, lease=20, heartbeat=9, data_dir=None, clock=lambda: now)
    await lease.begin()

    now += 18.9
    assert lease.runs()
    now += 0.2
    assert not lease.runs()
    await lease.renew()
    assert lease.runs()

    await lease.end()
    await connections.close()


async def test_a_process_whose_loop_was_stuck_has_lost_its_lease(open_store: OpenStore) -> None:
    # The heartbeat is stuck together with the work, so that it can't vouch for a process that does nothing.
    store = await open_store(lease=0.5, heartbeat=0.1)
    held = await claim(store)
    assert store.may_send(held)

    time.sleep(0.8)  # this is the fault: it holds up the event loop

    assert not store.may_send(held)
    other = await open_store()
    receipt = await other.read(held.request_id)
    assert receipt is not None
    assert receipt.state is State.IN_DOUBT
    assert not store.may_send(held)


async def test_a_claim_from_before_a_lost_lease_may_never_be_sent(
    open_store: OpenStore, database: asyncpg.Connection, history: History
) -> None:
    store = await open_store(lease=2, heartbeat=0.1)
    old, before = await claim(store, "old"), store.instance
    assert store.may_send(old)
    await database.execute("UPDATE instances SET ended_at = now()")

    async with asyncio.timeout(10):
        while store.instance == before or not store.may_send():
            await asyncio.sleep(0.02)

    assert not store.may_send(old)
    assert store.may_send(await claim(store, "new"))
    receipt = await store.read(old.request_id)
    assert receipt is not None
    assert receipt.state is State.IN_DOUBT
    assert await store.settle(old, completed()) is Settled.STORED
    assert await history(old.request_id) == ["claimed", "lost", "healed"]


async def test_an_unusable_lease_is_refused(database_url: str) -> None:
    with pytest.raises(ValueError, match="heartbeat"):
        await PostgresStore.open(database_url, lease=10, heartbeat=5)
