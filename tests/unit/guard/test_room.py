"""The room that bodies have together: memory first, then files, and what happens where those are full."""

from __future__ import annotations

import gc
from collections import Counter

import pytest

from onceproxy.core.limits import Limit, OverLimit
from onceproxy.guard.capture import MEMORY, Capture
from onceproxy.guard.room import Room

HITS: Counter[Limit] = Counter()


@pytest.fixture
def room() -> Room:
    HITS.clear()
    return Room(100, 10 * MEMORY, lambda limit: HITS.update([limit]))


def used(room: Room) -> tuple[int, int]:
    return room.in_memory, room.in_files


def test_what_finds_no_memory_goes_to_a_file(room: Room) -> None:
    one, two = Capture(room), Capture(room)
    one.write(b"a" * 60)
    two.write(b"b" * 30)
    assert used(room) == (90, 0)
    two.write(b"b" * 30)
    assert used(room) == (60, 60)
    one.write(b"a" * 40)
    assert used(room) == (100, 60)
    assert (one.read(), two.read()) == (b"a" * 100, b"b" * 60)


def test_a_large_body_takes_no_memory(room: Room) -> None:
    body = Capture(Room(MEMORY * 4, MEMORY * 4, lambda limit: None))
    body.write(b"a" * MEMORY)
    assert used(body._room) == (MEMORY, 0)
    body.write(b"a")
    assert used(body._room) == (0, MEMORY + 1)


def test_what_ends_or_is_forgotten_makes_room(room: Room) -> None:
    small, large = Capture(room), Capture(room)
    small.write(b"a" * 50)
    large.write(b"b" * 1000)
    small.forget(20)
    large.forget(400)
    assert used(room) == (30, 600)
    small.forget(10_000)
    large.forget(10_000)
    large.write(b"b" * 7)
    assert used(room) == (0, 7)
    del small, large
    gc.collect()
    assert used(room) == (0, 0)


def test_what_can_be_refused_fills_half_of_the_files(room: Room) -> None:
    request, answer = Capture(room, refusable=True), Capture(room)
    request.write(b"a" * 5 * MEMORY)
    with pytest.raises(OverLimit) as caught:
        request.write(b"a")
    assert caught.value.limit is Limit.TEMPORARY
    assert request.size == 5 * MEMORY

    crowded = []
    for size in (5 * MEMORY, 1, 1):
        answer.write(b"b" * size)
        crowded.append(answer.crowded)
    assert crowded == [False, True, True]
    assert answer.read() == b"b" * (5 * MEMORY + 2)
    assert HITS == {Limit.TEMPORARY: 2}


def test_what_is_refused_before_its_first_byte_takes_nothing(room: Room) -> None:
    full, refused = Capture(room), Capture(room, refusable=True)
    full.write(b"a" * 5 * MEMORY)
    refused.write(b"b" * 100)
    with pytest.raises(OverLimit):
        refused.write(b"b")
    assert used(room) == (100, 5 * MEMORY)
    del full
    refused.write(b"b")
    assert used(room) == (0, 101)
