"""A copy that is cancelled, at any moment: nothing is done twice, nothing is lost, no connection leaks."""

from __future__ import annotations

import asyncio

from integration.guard.conftest import Side

COPIES = 80


async def test_at_any_moment(side: Side) -> None:
    # As many turns of the event loop as an action takes, and some: the database and the upstream answer amid.
    await side.post("warm", body=b"warm")
    turns = asyncio.create_task(count_turns())
    await side.post("first", body=b"first")
    turns.cancel()
    longest = 2 * await turns

    for number in range(COPIES):
        copy = asyncio.create_task(side.post(f"n{number}", body=b"%d" % number))
        for _ in range(longest * number // COPIES):
            await asyncio.sleep(0)
        copy.cancel()
        await asyncio.gather(copy, return_exceptions=True)
    answers = await asyncio.gather(
        *(side.post(f"n{number}", body=b"%d" % number) for number in range(COPIES))
    )

    assert {answer.reason for answer in answers} <= {"replayed", "status-201"}
    assert all(answer.response is not None for answer in answers)
    bodies = [seen.body for seen in side.upstream.requests]
    assert len(bodies) == len(set(bodies)) == COPIES + 2
    # Some came that far, and some did not.
    assert 0 < sum(answer.executed for answer in answers) < COPIES


async def count_turns() -> int:
    """Count the turns of the event loop until cancelled."""
    turns = 0
    try:
        while True:
            await asyncio.sleep(0)
            turns += 1
    except asyncio.CancelledError:
        return turns
