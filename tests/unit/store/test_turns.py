"""Claims that go alone: one at a time for a receipt, and few at a time for receipts that are held."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from asyncpg.exceptions import LockNotAvailableError

from onceproxy.store import turns as module
from onceproxy.store.turns import FEW, Turns


class Database:
    """Counts who is at it at a time; whose row is held fails."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.held: set[bytes] = set()
        self.at_it: Counter[bytes] = Counter()
        self.most = 0

    async def ask(self, key: bytes) -> None:
        async with self.turns.of(key):
            self.at_it[key] += 1
            assert self.at_it[key] == 1
            self.most = max(self.most, self.at_it.total())
            await asyncio.sleep(0)
            self.at_it[key] -= 1
            if key in self.held:
                raise LockNotAvailableError("held")

    async def ask_all(self, *keys: bytes) -> list[BaseException | None]:
        return await asyncio.gather(*(self.ask(key) for key in keys), return_exceptions=True)


@pytest.fixture
def database() -> Database:
    return Database()


async def test_copies_go_one_by_one_and_others_beside_them(database: Database) -> None:
    await database.ask_all(b"a", b"a", b"b", b"c", b"a")

    assert database.most == 3
    assert not database.turns.goes_alone(b"a")


async def test_those_that_are_held_are_few_at_a_time_until_they_are_free(database: Database) -> None:
    keys = [bytes([number]) for number in range(10)]
    database.held = set(keys)
    assert {type(one) for one in await database.ask_all(*keys)} == {LockNotAvailableError}
    assert all(database.turns.is_held(key) and database.turns.goes_alone(key) for key in keys)
    database.most = 0

    await database.ask_all(*keys)
    assert database.most == FEW
    database.held.clear()
    await database.ask_all(*keys)

    assert not any(database.turns.is_held(key) or database.turns.goes_alone(key) for key in keys)
    database.most = 0
    await database.ask_all(*keys)
    assert database.most == 10


async def test_only_so_many_are_remembered(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN", 2)
    database.held = {b"a", b"b", b"c"}

    await database.ask_all(b"a", b"b", b"c")

    assert [database.turns.is_held(key) for key in (b"a", b"b", b"c")] == [False, True, True]
