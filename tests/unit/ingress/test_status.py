"""``Onceproxy-Status``: what clients are told of a receipt, to the letter."""

from __future__ import annotations

import http_sf
import pytest

from onceproxy.core.receipts import RequestId
from onceproxy.core.states import State
from onceproxy.guard.answers import Answer
from onceproxy.ingress.status import onceproxy_status

ID = RequestId(b"\1" * 32)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            Answer(ID, State.COMPLETED, 1, "replayed", age=12.7, replayed=True),
            "state=completed; attempt=1; age=12",
        ),
        (Answer(ID, State.COMPLETED, 1, "replayed", replayed=True), "state=completed; attempt=1; age=0"),
        (Answer(ID, State.COMPLETED, 2, "status-201"), "state=completed; attempt=2; reason=status-201"),
        (
            Answer(ID, State.IN_DOUBT, 1, "outcome-unknown", age=3.2),
            "state=in_doubt; attempt=1; age=3; reason=outcome-unknown",
        ),
        (Answer(ID, State.RELEASED, 1, "status-429"), "state=released; attempt=1; reason=status-429"),
        (
            Answer(ID, State.CLAIMED, 1, "in-progress", age=0.5),
            "state=claimed; attempt=1; age=0; reason=in-progress",
        ),
        (Answer(ID, None, 0, "store-unavailable"), "state=refused; reason=store-unavailable"),
    ],
)
def test_the_text(answer: Answer, text: str) -> None:
    assert onceproxy_status(answer) == text


def test_it_is_a_dictionary_of_rfc_9651() -> None:
    text = onceproxy_status(Answer(ID, State.COMPLETED, 1, "replayed", age=12.0, replayed=True))

    assert http_sf.parse(text.encode(), tltype="dictionary") == {
        "state": (http_sf.Token("completed"), {"attempt": 1, "age": 12})
    }
