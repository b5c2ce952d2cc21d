"""The end of an attempt: accepted from the attempt that it belongs to, and from no other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from onceproxy.core.outcomes import OutcomeKind
from onceproxy.core.receipts import Claim
from onceproxy.core.states import State
from onceproxy.guard.ports import Settled, Settlement, StoreUnavailable
from onceproxy.store.batching import TRY as BATCH_TRY
from onceproxy.store.batching import Batched, Lane, NotBatched
from onceproxy.store.confirming import confirm
from onceproxy.store.connection import Connections, Statements
from onceproxy.store.rows import event_of, evidence_values, parts_of, settlement_columns, settlement_values

TRY = 5.0  # seconds for one statement; no body in it is larger than a part
SMALL = 64 * 1024  # bytes of a body up to which it goes with others: a larger one would hold them up

# What it means for the audit trail when a superseded attempt comes with this.
_SUPERSEDED = {
    OutcomeKind.COMPLETED: "executed-twice",
    OutcomeKind.IN_DOUBT: "executed-twice",
    OutcomeKind.RELEASED: "late-release",
}


class PartsMissing(StoreUnavailable):
    """Parts of a body that were written are not there: the server crashed and forgot them."""


Values = tuple[object, ...]
Endings = Lane[Values, bool]


def endings(connections: Connections, batched: Batched | None = None) -> Endings:
    """Return where attempts whose claims stand are settled, many at once; it says whether one was."""
    return Lane("settlements", partial(_settle_claimed, connections), batched=batched)


async def settle_standing(together: Endings, claim: Claim, settlement: Settlement) -> bool:
    """Settle with others what has a claim that stands, as nearly all have; False: it is to be settled alone.

    Raises:
        ValueError: the settlement says completed and brings no response.
    """
    if (size := settlement.kept_size) > SMALL:
        return False
    digest, token = claim.request_id.digest, claim.token
    event = event_of(token, settlement.outcome.kind.value)
    values = (digest, token, claim.attempt, *settlement_values(settlement), event)
    try:
        return await together.ask(digest, values, size)
    except NotBatched:
        return False  # it may be stored by now: as after any commit that is not known


async def settle(connections: Statements, claim: Claim, settlement: Settlement, instance: UUID) -> Settled:
    """Write ``settlement`` if the receipt is still the claim's, or else keep it in the audit trail.

    Safe to repeat: events have ids that are made from the token. Raises what asyncpg raises.

    Raises:
        PartsMissing: not all parts of its body are there.
        ValueError: the settlement says completed and brings no response.
    """
    digest, kind = claim.request_id.digest, settlement.outcome.kind
    whose, event = (digest, claim.token, claim.attempt), event_of(claim.token, kind.value)
    parts = parts_of(settlement)
    values = settlement_values(settlement, apart=parts is not None)
    row = await connections.run(
        "settle",
        *whose,
        *values,
        event,
        parts,
        timeout=TRY,
        reserved=True,
    )
    assert row is not None
    if row["settled"]:
        return Settled.STORED
    if not row["whole"]:
        raise PartsMissing("the database has lost parts of the body")

    # Refused. The receipt can't come back to this token, so there is no hurry and no race from here on.
    found = await connections.run("whose", digest, timeout=TRY, reserved=True)
    ours = found is not None and found["token"] == claim.token and found["attempt"] == claim.attempt
    state = State(found["state"]) if found is not None else State.ABSENT
    if ours and state == kind.value:
        # An earlier try of ours got through. It is seen; that does not say that the standbys have it.
        await confirm(connections, claim.request_id, claim.token, state)
        if kind is not OutcomeKind.IN_DOUBT:
            return Settled.STORED
        # Either a repetition, whose event is there, or the claim was lost and now there is evidence as well.
        note = kind.value
    elif ours or found is None:
        note = "contradicted"
    else:
        note = _SUPERSEDED[kind]
    phase, failure, detail = evidence_values(settlement.attempt)
    await connections.run(
        "note_late",
        digest,
        event_of(claim.token, note),
        note,
        claim.attempt,
        instance,
        state.value,
        phase,
        settlement.outcome.reason,
        detail or failure or "",
        timeout=TRY,
        reserved=True,
    )
    return Settled.STORED if note == OutcomeKind.IN_DOUBT else Settled.SUPERSEDED


async def _settle_claimed(connections: Connections, batch: Sequence[Values]) -> Sequence[bool]:
    if len(batch) == 1:
        row = await connections.run("settle_one", *batch[0], timeout=BATCH_TRY, reserved=True)
        assert row is not None
        return [row["settled"]]
    columns = settlement_columns(batch)
    row = await connections.run("settle_claimed", *columns, timeout=BATCH_TRY, reserved=True)
    assert row is not None
    settled = set(row["settled"])
    return [digest in settled for digest, *_ in batch]
