"""A seeded world of processes, copies, an upstream and people that must keep the promise.

A schedule is a seed: it draws the policies, and then step by step who acts next and what goes wrong. A
copy's steps are those of ``guard`` (claim, check the lease and send, receive, settle, answer), each of them
atomic as there; between any two steps anybody else may act: another copy, another process, the sweeper, an
operator, a crash, a suspension, the clock. After each step the eight invariants of the design are checked
against what only the world knows: what the upstream really did.

Three bounds of the real world are kept, because without them no proxy could promise anything: what was sent
arrives within ``DELIVERY`` seconds or never; a probe's answer is used within the same time; and who settles a
doubt by looking (the probe, a person) looks when it has stood longer than that.
"""

from __future__ import annotations

from model.happenings import HAPPENINGS, advance, arrive, crash
from model.invariants import check
from model.store import LEASE
from model.world import DELIVERY, ID, Broken, World
from onceproxy.core.states import State

STEPS = 40  # of a schedule, before all are let to their end


def run(world: World) -> None:
    """Play the schedule, then let everything come to its end.

    Raises:
        Broken: an invariant does not hold.
    """
    for _ in range(2):
        arrive(world)
    for _ in range(STEPS):
        _act(world)
    _wind_up(world)


def _act(world: World) -> None:
    rnd = world.rnd
    choice = rnd()
    if choice < 0.68 and world.busy:
        copy = world.busy[int(rnd() * len(world.busy))]
        if not copy.process.suspended:
            copy.step(world, copy)
            check(world)
        return
    HAPPENINGS[int(rnd() * len(HAPPENINGS))](world)
    check(world)


def _wind_up(world: World) -> None:
    for process in world.processes:
        process.suspended = False
    for _ in range(60):
        if not world.busy:
            break
        world.busy[0].step(world, world.busy[0])
        check(world)
        if world.busy and world.rnd() < 0.3:
            world.busy.append(world.busy.pop(0))
    for process in world.processes:
        if process.alive:
            crash(world, process)
    advance(world, 2 * LEASE + DELIVERY, renew=False)
    check(world)
    receipt = world.store.read(ID)
    check(world)
    if receipt is not None and receipt.state is State.CLAIMED:
        world.broken("liveness: a claim without an owner stays claimed")


def play(seed: int, faults: frozenset[str] = frozenset()) -> None:
    """Play one schedule; one that breaks an invariant is played again to tell its steps.

    Raises:
        Broken: an invariant does not hold.
    """
    try:
        run(World(seed, faults=faults))
    except Broken:
        again = World(seed, faults=faults, trace=True)
        try:
            run(again)
        except Broken as broken:
            steps = "\n".join(again.traced or ())
            raise Broken(f"{broken}\n{steps}") from None
        raise
