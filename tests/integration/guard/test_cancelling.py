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
        if number == COPIES - 1:
            await sent(side, b"%d" % number)
        else:
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
    # The last one came that far, whatever the others did, and the first one did not begin.
    assert 0 < sum(answer.executed for answer in answers) < COPIES


async def sent(side: Side, body: bytes) -> None:
    """Wait until the upstream has the request with ``body``."""
    while all(seen.body != body for seen in side.upstream.requests):
        await side.upstream.arrived(len(side.upstream.requests) + 1)


async def count_turns() -> int:
    """Count the turns of the event loop until cancelled."""
    turns = 0
    try:
        while True:
            await asyncio.sleep(0)
            turns += 1
    except asyncio.CancelledError:
        return turns
