"""What else happens in the world: clients, crashes, suspensions, sweepers, people, and time."""

from __future__ import annotations

from collections.abc import Callable

from model import copies
from model.store import LEASE
from model.world import (
    ACTIONS,
    DELIVERY,
    FINGERPRINTS,
    ID,
    MARGIN,
    SETTLE,
    TOMBSTONE,
    TTL,
    WINDOW,
    Copy,
    Process,
    World,
)
from onceproxy.core.outcomes import after_doubt, classify
from onceproxy.core.receipts import Source
from onceproxy.core.states import State

SHORT = (1.0, 5.0, 9.0, 12.0, 21.0)
LONG = (40.0, WINDOW, TTL + 1, TOMBSTONE)


def arrive(world: World) -> None:
    """A client sends a copy."""
    alive = [process for process in world.processes if process.alive]
    if len(world.copies) >= 7 or not alive:
        return
    rnd = world.rnd
    print_ = FINGERPRINTS[rnd() < 0.08]
    process = alive[int(rnd() * len(alive))]
    copy = Copy(len(world.copies), process, ACTIONS[world.number, print_], copies.claim, world.token())
    world.copies.append(copy)
    world.busy.append(copy)
    world.say(copy, "arrives")


def crash_one(world: World) -> None:
    process = world.processes[int(world.rnd() * len(world.processes))]
    if process.alive and world.rnd() < 0.5:
        crash(world, process)


def crash(world: World, process: Process) -> None:
    process.alive = False
    for copy in [copy for copy in world.busy if copy.process is process]:
        world.busy.remove(copy)
        copy.done = True
        if copy.step is copies.arrives:
            world.loose.append(copy)
        elif copy.step is copies.settle and world.rnd() < 0.5:
            copy.spooled = True
    world.tell(f"process {process.number} crashes")
    if world.rnd() < 0.3:
        world.store.end(process.instance)
        world.tell(f"process {process.number} is known to be dead")


def start(world: World) -> None:
    for number, process in enumerate(world.processes):
        if not process.alive:
            world.processes[number] = world.process(number)
            world.tell(f"process {number} starts")
            return


def suspend(world: World) -> None:
    process = world.processes[int(world.rnd() * len(world.processes))]
    process.suspended = not process.suspended
    world.tell(f"process {process.number} is {'suspended' if process.suspended else 'resumed'}")


def renew(world: World) -> None:
    for process in world.processes:
        if process.alive and not process.suspended:
            renew_one(world, process)


def renew_one(world: World, process: Process) -> None:
    now = world.store.now
    if world.store.live(process.instance):
        world.store.leases[process.instance] = now + LEASE
    else:
        world.instances += 1
        process.instance = world.instances
        process.claimed.clear()
        world.store.leases[process.instance] = now + LEASE
    process.deadline = now + LEASE - MARGIN


def late(world: World) -> None:
    """What nobody listens for any more arrives, or never does."""
    if world.loose:
        copy = world.loose.pop(0)
        if world.rnd() < 0.7:
            copies.upstream(world, copy)


def drain(world: World) -> None:
    """What a dead process left in its spool is stored by the next one."""
    for copy in world.copies:
        if copy.spooled and copy.claim is not None and copy.attempt is not None:
            copy.spooled = False
            outcome = classify(copy.attempt, copy.action.policy.outcomes)
            if copy.claim.doubtful:
                outcome = after_doubt(outcome)
            settled = world.store.settle(copy.claim, outcome.kind, copy.attempt.response)
            world.say(copy, f"is drained from the spool as {outcome.kind}: {settled}")
            return


def give_back(world: World) -> None:
    if world.abandoned:
        token = world.abandoned.pop()
        world.store.abandon(ID, token)
        world.tell("an abandoned claim is given back")


def look(world: World) -> None:
    world.store.read(ID)
    world.tell("somebody looks")


def operate(world: World) -> None:
    """A person looks at the upstream, and says what is there."""
    row = world.store.rows.get(ID)
    if row is None or row.state is not State.IN_DOUBT or world.store.now - row.changed < SETTLE:
        return
    response = world.response(200, row.action.fingerprint) if world.effects else None
    world.store.resolve(ID, row.attempt, response, Source.OPERATOR)
    world.tell(f"an operator says that it {'happened' if response else 'did not happen'}")


def purge(world: World) -> None:
    if world.rnd() < 0.3 and world.store.purge(ID):
        world.tell("an operator purges the receipt")


def collect(world: World) -> None:
    world.store.collect()
    world.tell("what is due expires")


def a_moment(world: World) -> None:
    advance(world, SHORT[int(world.rnd() * len(SHORT))], renew=world.rnd() < 0.5)


def a_while(world: World) -> None:
    if world.rnd() < 0.5:
        advance(world, LONG[int(world.rnd() * len(LONG))], renew=world.rnd() < 0.8)


def advance(world: World, seconds: float, *, renew: bool) -> None:
    """Let time pass, after all that must have happened by then."""
    until = world.store.now + seconds
    for copy in list(world.busy):
        if copy.step is copies.arrives and copy.sent_at + DELIVERY < until:
            copies.arrives(world, copy)
    world.loose.sort(key=lambda copy: copy.sent_at)
    while world.loose and world.loose[0].sent_at + DELIVERY < until:
        late(world)
    for copy in list(world.busy):
        if copy.asked is not None and copy.asked[2] + DELIVERY < until:
            copies.use_answer(world, copy)
    if renew:
        for process in world.processes:
            if process.alive and not process.suspended and world.store.live(process.instance):
                world.store.leases[process.instance] = until + LEASE
                process.deadline = until + LEASE - MARGIN
    world.store.now = until
    world.tell(f"{seconds:g} s pass{', leases are kept' if renew else ''}")


HAPPENINGS: tuple[Callable[[World], None], ...] = (
    *(arrive,) * 4,
    crash_one,
    *(start,) * 2,
    suspend,
    *(renew,) * 2,
    late,
    drain,
    give_back,
    look,
    *(operate,) * 2,
    purge,
    collect,
    *(a_moment,) * 4,
    *(a_while,) * 2,
)
