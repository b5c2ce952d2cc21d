"""A hundred thousand schedules, none of which breaks the promise; and the proof that one could."""

from __future__ import annotations

import pytest

from model.simulation import play, run
from model.world import Broken, World

BLOCKS = 20
BLOCK = 5_000
ENOUGH = 20_000  # schedules in which a protection that is missing shows
EVENTS = {
    *("claimed", "completed", "released", "in_doubt", "healed", "lost", "confirmed", "refuted", "expired"),
    *("forgotten", "purged", "abandoned", "executed-twice", "late-release", "contradicted"),
}


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_schedule_breaks_the_promise(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        play(seed)


@pytest.mark.parametrize(
    ("fault", "invariant"),
    [
        ("no-fencing", "6"),
        ("no-lease-check", "1 and 2"),
        ("answer-too-early", "3"),
        ("completed-is-not-final", "4"),
        ("lost-is-free", "5"),
        ("released-after-doubt", "5"),
        ("resend-after-window", "5"),
        ("no-settling", "5"),
        ("silent-loss", "7"),
        ("one-key-for-all", "8"),
    ],
)
def test_a_protection_that_is_taken_out_is_missed(fault: str, invariant: str) -> None:
    seen = set()
    for seed in range(ENOUGH):
        try:
            run(World(seed, faults=frozenset({fault})))
        except Broken as broken:
            seen.add(str(broken).partition("invariant ")[2].partition(":")[0])
            if invariant in seen:
                return
    pytest.fail(f"without a protection ({fault}), {ENOUGH} schedules break only {seen or 'nothing'}")


def test_a_broken_schedule_is_told_step_by_step() -> None:
    faults = frozenset({"no-fencing"})
    seed = next(seed for seed in range(ENOUGH) if breaks(seed, faults))

    with pytest.raises(Broken) as caught:
        play(seed, faults)

    first, *steps = str(caught.value).splitlines()
    assert first.startswith(f"seed {seed}, ")
    assert any("settles" in step or "settled" in step for step in steps)


def breaks(seed: int, faults: frozenset[str]) -> bool:
    try:
        run(World(seed, faults=faults))
    except Broken:
        return True
    return False


def test_the_schedules_reach_everything() -> None:
    kinds: set[str] = set()
    for seed in range(BLOCK):
        world = World(seed)
        run(world)
        kinds |= {entry.kind for entry in world.store.events}

    assert kinds == EVENTS
