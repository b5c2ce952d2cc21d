"""What a copy does, step by step, as the guard does it; and what the upstream does with it."""

from __future__ import annotations

import math

from model.invariants import check_durable
from model.world import ACTIONS, DELIVERY, ID, SETTLE, WINDOW, Copy, World
from onceproxy.core import decisions
from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.decisions import Ask, Claimable, Refuse, Replay, Resend, Wait
from onceproxy.core.messages import Response
from onceproxy.core.outcomes import after_doubt, classify
from onceproxy.core.receipts import Claim, Source
from onceproxy.core.states import State
from onceproxy.guard.ports import Settled

# What the upstream may do with a request: name, whether it takes effect, status.
ACTS = (
    ("does it", True, 201),
    ("does it", True, 201),
    ("declines", False, 402),
    ("turns it away", False, 429),
    ("fails before", False, 500),
    ("fails after", True, 500),
)


def claim(world: World, copy: Copy) -> None:
    process, now = copy.process, world.store.now
    if now >= process.deadline:
        finish(world, copy, "503, no lease")
        return
    trouble = world.rnd()
    if trouble < 0.04:
        world.say(copy, "can't reach the store to claim")
        finish(world, copy, "503")
        return
    if copy.instance == 0:
        copy.instance = process.instance
    found = world.store.claim(copy.action, copy.token, copy.instance)
    if trouble < 0.08:
        world.say(copy, "does not hear what came of its claim")
        return  # and tries again under the same token
    if trouble < 0.10:
        world.abandoned.append(copy.token)
        finish(world, copy, "leaves, and does not hear what came of its claim")
        return
    if found is None:
        world.abandoned.append(copy.token)
        finish(world, copy, "503, no longer an instance")
    elif isinstance(found, Claim):
        copy.claim, copy.step = found, send
        if copy.instance == process.instance:
            process.claimed[copy.token] = (
                math.inf if "resend-after-window" in world.faults else now + found.resend_left
            )
        world.say(copy, f"claims attempt {found.attempt}")
    else:
        decide(world, copy)


def decide(world: World, copy: Copy) -> None:
    receipt = world.store.read(ID)
    action = copy.action
    if receipt is not None and "one-key-for-all" in world.faults:
        action = ACTIONS[world.number, receipt.fingerprint]
    decision = decisions.decide(action, receipt)
    match decision:
        case Replay(response=response):
            row = world.store.rows[ID]
            if response is not row.response:
                world.broken("3: a replay is not what was stored")
            if world.responses[response.body.read()] != copy.action.fingerprint:
                world.broken("8: a replay of another action")
            finish(world, copy, f"is replayed {response.status}")
        case Refuse(problem=problem):
            finish(world, copy, f"is refused: {problem.type.slug}")
        case Claimable() | Resend():
            copy.token, copy.instance, copy.step = world.token(), 0, claim
            world.say(copy, "may claim")
        case Wait():
            copy.step = decide
            if world.rnd() < 0.2:
                finish(world, copy, "has waited long enough")
        case Ask(receipt=doubtful):
            there = world.effects > 0
            if there or doubtful.age >= SETTLE or "no-settling" in world.faults:
                copy.asked = (doubtful.attempt, there, world.store.now)
                copy.step = use_answer
                world.say(copy, f"asks: it is {'there' if there else 'not there'}")
            else:
                copy.step = decide
                if world.rnd() < 0.2:
                    finish(world, copy, "has waited long enough for the probe")


def use_answer(world: World, copy: Copy) -> None:
    assert copy.asked is not None
    attempt, there, _ = copy.asked
    copy.asked, copy.step = None, decide
    response = world.response(200, copy.action.fingerprint) if there else None
    settle = 0.0 if there or "no-settling" in world.faults else SETTLE
    took = world.store.resolve(ID, attempt, response, Source.PROBE, settle)
    world.say(copy, f"uses the answer about attempt {attempt}: {took}")


def send(world: World, copy: Copy) -> None:
    assert copy.claim is not None
    process, now = copy.process, world.store.now
    if "no-lease-check" not in world.faults and (
        now >= process.deadline or now >= process.claimed.get(copy.token, -1.0)
    ):
        copy.attempt = Attempt(WirePhase.SENT_NOTHING, failure=Failure.LEASE_LOST)
        copy.step = settle
        world.say(copy, "has no lease to send under")
        return
    if world.rnd() < 0.06:
        copy.attempt = Attempt(WirePhase.CONNECTING, failure=Failure.CONNECTION_REFUSED)
        copy.step = settle
        world.say(copy, "is refused a connection")
        return
    row = world.store.rows.get(ID)
    if row is None or row.state is not State.CLAIMED or row.token != copy.token:
        world.broken("1 and 2: bytes go out without a live claim of their own")
    copy.sent_at, copy.step = now, arrives
    world.say(copy, "sends")


def arrives(world: World, copy: Copy) -> None:
    """The upstream gets the request, or nobody ever does; then the answer comes, or does not."""
    rnd = world.rnd
    trouble = rnd()
    if trouble < 0.2:
        copy.attempt = Attempt(WirePhase.SENT, failure=Failure.CONNECTION_LOST)
        if trouble < 0.1:
            world.loose.append(copy)
        world.say(copy, f"is cut off, {'still on its way' if trouble < 0.1 else 'and lost on its way'}")
    else:
        response = upstream(world, copy)
        copy.attempt = (
            Attempt(WirePhase.SENT, failure=Failure.CONNECTION_LOST)
            if rnd() < 0.3
            else Attempt(WirePhase.BODY_RECEIVED, response, status=response.status)
        )
    copy.step = settle


def upstream(world: World, copy: Copy) -> Response:
    key, now = copy.action.fingerprint, world.store.now
    if world.deduplicates and key in world.remembered and now - world.remembered[key][0] < WINDOW + DELIVERY:
        world.say(copy, "is known to the upstream")
        return world.remembered[key][1]
    name, effect, status = ACTS[int(world.rnd() * len(ACTS))]
    response = world.response(status, key)
    if effect:
        world.effects += 1
        world.remembered[key] = (now, response)
    world.say(copy, f"reaches the upstream, which {name}")
    return response


def settle(world: World, copy: Copy) -> None:
    assert copy.claim is not None
    assert copy.attempt is not None
    outcome = classify(copy.attempt, copy.action.policy.outcomes)
    if copy.claim.doubtful and "released-after-doubt" not in world.faults:
        outcome = after_doubt(outcome)
    copy.kind = outcome.kind
    if "answer-too-early" in world.faults and copy.attempt.response is not None:
        finish(world, copy, "answers before its receipt is durable")
        return
    trouble = world.rnd()
    if trouble < 0.06:
        world.say(copy, "can't reach the store to settle")
        return
    row = world.store.rows.get(ID)
    token = row.token if row is not None else None
    copy.settled = world.store.settle(copy.claim, copy.kind, copy.attempt.response)
    if copy.settled is Settled.STORED and token != copy.token:
        world.broken("6: a settlement was taken from an attempt that is over")
    if trouble < 0.12:
        world.say(copy, "does not hear whether it is settled")
        return
    copy.step = answer
    world.say(copy, f"settles {copy.kind}: {copy.settled}")


def answer(world: World, copy: Copy) -> None:
    finish(world, copy, "answers")


def finish(world: World, copy: Copy, words: str) -> None:
    copy.done = True
    if copy in world.busy:
        world.busy.remove(copy)
    world.say(copy, words)
    if copy.attempt is not None and copy.attempt.response is not None:
        check_durable(world, copy)
