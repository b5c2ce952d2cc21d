"""What a copy of an action gets when a receipt is already there."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from onceproxy.core.hygiene import storable
from onceproxy.core.messages import Response
from onceproxy.core.policies import AfterTtl, InDoubt
from onceproxy.core.problems import Problem, ProblemType
from onceproxy.core.receipts import Action, Receipt
from onceproxy.core.states import State


@dataclass(frozen=True, slots=True)
class Replay:
    """Answer from the receipt."""

    receipt: Receipt
    response: Response


@dataclass(frozen=True, slots=True)
class Wait:
    """Another copy is at work: wait for what comes of it."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Ask:
    """Nobody knows whether it happened: let the route's probe find out."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Resend:
    """Nobody knows whether it happened, and sending again does no harm on this route: claim it again."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with a problem; nothing is sent."""

    receipt: Receipt
    problem: Problem


@dataclass(frozen=True, slots=True)
class Claimable:
    """Nothing happened so far, or the receipt expired: claim it again."""


Decision = Replay | Wait | Ask | Resend | Refuse | Claimable


def decide(action: Action, receipt: Receipt | None) -> Decision:
    """Decide what a copy of ``action`` gets that meets ``receipt``: its own, or one of an action like it."""
    if receipt is None:
        return Claimable()
    if receipt.request_id != action.request_id:
        return _looks_repeated(action, receipt)
    same = receipt.fingerprint == action.fingerprint
    if receipt.state is State.RELEASED and same:
        # Nothing happened, so there is nothing to keep from another credential: the first may have been bad.
        return Claimable()
    if receipt.state is State.TOMBSTONE and action.policy.after_ttl is AfterTtl.NEW:
        return Claimable()
    if not hmac.compare_digest(receipt.credential, action.credential):
        return _refuse(
            action,
            receipt,
            ProblemType.CREDENTIAL_MISMATCH,
            "A receipt of this action exists, but it was made with another upstream credential. "
            "Retry with the credential of the first try, or make it another action with Onceproxy-Action.",
            tell_more=False,
        )
    if not same:
        return _refuse(
            action,
            receipt,
            ProblemType.KEY_REUSED,
            "This key was first used for another request. Nothing was sent. "
            "Send the first request again unchanged, or use a new key.",
        )
    match receipt.state:
        case State.CLAIMED:
            return Wait(receipt)
        case State.COMPLETED:
            return _completed(action, receipt)
        case State.IN_DOUBT:
            return _in_doubt(action, receipt)
        case State.TOMBSTONE:
            return _refuse(
                action,
                receipt,
                ProblemType.RECEIPT_EXPIRED,
                "The action happened, and its receipt has expired, so its response can't be given again. "
                "It was not sent again. Ask the upstream for the result, or make it another action with "
                "Onceproxy-Action.",
            )
        case State.RELEASED | State.ABSENT:
            return Claimable()


def _looks_repeated(action: Action, earlier: Receipt) -> Refuse:
    return _refuse(
        action,
        earlier,
        ProblemType.LOOKS_REPEATED,
        f"The same was asked for {round(earlier.first_age)} s ago under another key (or none), and this "
        f"route holds such requests: {earlier.request_id} is {earlier.state.value}. Nothing was sent for "
        "this one. If it is a retry, send it as it was sent first, with that key. If it is meant to happen "
        "once more, send it with Onceproxy-Action and an id of its own, the same on each of its retries.",
        extra=(("earlier", str(earlier.request_id)), ("earlier_state", earlier.state.value)),
        tell_more=False,
    )


def _in_doubt(action: Action, receipt: Receipt) -> Decision:
    policy = action.policy
    if policy.in_doubt is InDoubt.PROBE and policy.probe is not None:
        return Ask(receipt)
    window = policy.resend_window
    if window is not None and receipt.first_age < window:
        return Resend(receipt)
    return doubt(action, receipt)


def doubt(action: Action, receipt: Receipt, why: str = "") -> Refuse:
    """Return the refusal of a copy whose action is in doubt. ``why``: what was tried to settle it."""
    words = _doubt_in_words(receipt)
    if action.policy.in_doubt is InDoubt.RESEND:
        why = "The time is over in which the upstream would know a copy (upstream_window)."
    return _refuse(action, receipt, ProblemType.OUTCOME_UNKNOWN, f"{words} {why}".rstrip())


def in_progress(action: Action, receipt: Receipt) -> Refuse:
    """Return the refusal of a copy that has waited long enough for another one."""
    return _refuse(
        action,
        receipt,
        ProblemType.IN_PROGRESS,
        "Another copy of this action is still at work. Nothing was sent for this one. "
        "Retry later: the answer will be the same for both.",
        retry_after=1,
    )


def being_asked(action: Action, receipt: Receipt) -> Refuse:
    """Return the refusal of a copy that leaves before the route's probe has found out what happened."""
    return _refuse(
        action,
        receipt,
        ProblemType.IN_PROGRESS,
        "Whether this action happened is not known, and the upstream is being asked (the route's probe). "
        "Nothing was sent for this copy. Retry later: by then it may be known.",
        retry_after=1,
    )


def _completed(action: Action, receipt: Receipt) -> Decision:
    if receipt.unreadable is not None:
        return unreadable(action, receipt, receipt.unreadable)
    if receipt.response is None or not receipt.body_kept:
        return _without_body(action, receipt, "which is over the limit for receipts (limits.receipt_body)")
    return Replay(receipt, receipt.response)


def unreadable(action: Action, receipt: Receipt, why: str) -> Refuse:
    """Return the refusal of a copy whose receipt is encrypted, and can't be decrypted. ``why``: in words."""
    status = receipt.response.status if receipt.response is not None else None
    return _refuse(
        action,
        receipt,
        ProblemType.UNREADABLE,
        f"The action happened: the upstream answered {status}. What is stored of that can't be read: {why}. "
        "It was not sent again. Do not send it as another action either: ask the upstream for the result, "
        "and tell whoever runs the proxy; if a key is missing there, a later copy gets the answer.",
        extra=(("upstream_status", status),),
    )


def damaged(action: Action, receipt: Receipt) -> Refuse:
    """Return the refusal of a copy whose receipt has lost a part of its body."""
    return _without_body(action, receipt, "which the database of receipts does not give back as they were")


def _without_body(action: Action, receipt: Receipt, why: str) -> Refuse:
    status = receipt.response.status if receipt.response is not None else None
    return _refuse(
        action,
        receipt,
        ProblemType.BODY_NOT_KEPT,
        f"The action happened: the upstream answered {status} with {receipt.body_size} bytes, {why}. "
        "Do not send it again; ask the upstream for the result.",
        extra=(
            ("upstream_status", status),
            ("upstream_headers", _told_headers(receipt)),
            ("body_size", receipt.body_size),
            ("body_sha256", receipt.body_digest.hex()),
        ),
    )


def _told_headers(receipt: Receipt) -> list[list[str]]:
    """Return the stored headers for a problem's member, also where a route keeps cookies without those."""
    headers = storable(receipt.response.headers) if receipt.response is not None else ()
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]


def _doubt_in_words(receipt: Receipt) -> str:
    if receipt.partial and receipt.response is not None:
        evidence = (
            f"the upstream began to answer {receipt.response.status}, and was cut off after "
            f"{receipt.body_size} bytes of the body ({receipt.failure})"
        )
    elif receipt.response is not None:
        evidence = f"the upstream answered {receipt.response.status}"
    else:
        evidence = receipt.detail or "the proxy that sent it died or lost its lease"
    return (
        f"{receipt.method} {receipt.url} was sent at attempt {receipt.attempt}, and whether it took effect "
        f"is not known: {evidence}. It was not sent again. Look at the upstream whether it happened; "
        f"`onceproxy receipts show {receipt.request_id}` shows the evidence, and how to settle it."
    )


def _refuse(
    action: Action,
    receipt: Receipt,
    kind: ProblemType,
    detail: str,
    *,
    retry_after: int | None = None,
    extra: tuple[tuple[str, object], ...] = (),
    tell_more: bool = True,
) -> Refuse:
    """Build a refusal. ``tell_more`` false: nothing of the receipt is told, it is somebody else's."""
    if kind is ProblemType.OUTCOME_UNKNOWN:
        extra = (
            ("phase", receipt.phase),
            ("failure", receipt.failure),
            ("upstream_status", receipt.response.status if receipt.response is not None else None),
            ("age", round(receipt.age)),
        )
    problem = Problem(
        kind,
        detail,
        request_id=action.request_id,
        route=action.route,
        attempt=receipt.attempt if tell_more else None,
        retry_after=retry_after,
        extra=extra,
    )
    return Refuse(receipt, problem)
