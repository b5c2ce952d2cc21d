"""The response of a receipt, as its page shows it: what is there of it, and why the rest is not."""

from __future__ import annotations

from dataclasses import dataclass

from onceproxy.admin.page import shown
from onceproxy.admin.page.words import size
from onceproxy.core.messages import Body
from onceproxy.core.receipts import Receipt, Source
from onceproxy.core.states import State

_SOURCES = {
    Source.OPERATOR: "A person entered it: the upstream’s own answer was lost.",
    Source.PROBE: "A probe got it: the upstream’s own answer was lost.",
}


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """What stands under the title: the status line, header lines, remarks, and the body."""

    title: str
    first: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    text: str = ""


def answer(receipt: Receipt, body: Body | None) -> ShownAnswer:
    """Return what is shown of a receipt's response. ``body``: None where it is not there, or too large."""
    response = receipt.response
    if response is None:
        return ShownAnswer("Response", remarks=(_why_none(receipt),))
    title = "Response" if receipt.state is State.COMPLETED else "What was answered"
    if receipt.unreadable is not None:
        remark = f"The rest can’t be decrypted: {shown.line(receipt.unreadable, 300)}"
        return ShownAnswer(title, first=str(response.status), remarks=(remark,))
    first = f"{response.status} {shown.line(response.reason.decode('latin-1'), 200)}".rstrip()
    remarks = [_SOURCES[receipt.source]] if receipt.source in _SOURCES else []
    if receipt.partial:
        remarks.append("It was cut off: this is what had arrived of it.")
    text = ""
    if receipt.body_size == 0:
        remarks.append("It has no body.")
    elif body is not None:
        it = shown.body(body.read(), response.headers)
        text = it.text
        remarks.append(f"The body has {size(receipt.body_size)}. {it.remark}".rstrip())
    elif not receipt.body_kept:
        remarks.append(f"The body of {size(receipt.body_size)} was over the limit, and was not kept.")
    else:
        remarks.append(
            f"The body of {size(receipt.body_size)} is not shown here: "
            f"onceproxy receipts show {receipt.request_id} --body"
        )
    return ShownAnswer(title, first, tuple(shown.headers(response.headers)), tuple(remarks), text)


def _why_none(receipt: Receipt) -> str:
    return {
        State.CLAIMED: "There is none yet.",
        State.IN_DOUBT: "None arrived.",
        State.RELEASED: "None is kept of what did not happen.",
        State.COMPLETED: "None is kept.",
    }.get(receipt.state, "It was kept for its time, and is gone.")
