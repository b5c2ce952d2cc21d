"""Messages to hooks: what they hold, that others can verify them, and when they are tried again."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from onceproxy.core.messages import RawHeaders
from onceproxy.core.notices import (
    FIRST_PAUSE,
    GIVE_UP,
    LONGEST_PAUSE,
    Notice,
    NoticeKind,
    accepted,
    pause_after,
    read_secret,
    signed_headers,
)
from onceproxy.core.receipts import RequestId

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = datetime.now(UTC)


def a_notice(**changes: Any) -> Notice:
    values: dict[str, Any] = {
        "request_id": RequestId(bytes(32)),
        "event_id": UUID(int=1),
        "kind": NoticeKind.OUTCOME_UNKNOWN,
        "at": NOW,
        "attempt": 2,
        "state": "in_doubt",
        "phase": "sent",
        "reason": "connection-lost",
        "route": "charges",
        "method": "POST",
        "url": "https://api.example.com/v1/charges",
        "first_attempt_at": NOW,
    }
    return Notice(**values | changes)


def as_received(headers: RawHeaders) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


def test_what_it_holds() -> None:
    told = json.loads(a_notice().body("https://onceproxy.example/receipts"))

    name = str(RequestId(bytes(32)))
    assert told == {
        "type": "outcome-unknown",
        "timestamp": NOW.isoformat(),
        "data": {
            "request_id": name,
            "route": "charges",
            "method": "POST",
            "url": "https://api.example.com/v1/charges",
            "state": "in_doubt",
            "attempt": 2,
            "phase": "sent",
            "reason": "connection-lost",
            "first_attempt_at": NOW.isoformat(),
            "receipt": f"https://onceproxy.example/receipts/{name}",
        },
    }


def test_a_receipt_that_is_gone_is_told_of() -> None:
    gone = a_notice(route=None, method=None, url=None, first_attempt_at=None)

    assert json.loads(gone.body(""))["data"]["url"] is None


def test_an_implementation_that_is_not_ours_verifies_it() -> None:
    body = a_notice().body("http://127.0.0.1:8889/receipts")
    sent_at = int(datetime.now(UTC).timestamp())  # what is older than five minutes is refused
    headers = as_received(signed_headers(KEY, a_notice().message_id, sent_at, body))

    assert Webhook(SECRET).verify(body, headers) == json.loads(body)
    for changed in ({"webhook-id": "msg_2"}, {"webhook-timestamp": str(sent_at + 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, headers | changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"charges", b"refunds"), headers)


def test_it_is_known_by_its_id_however_often_it_comes() -> None:
    assert a_notice().message_id == a_notice().message_id == "msg_" + "0" * 31 + "1"


@pytest.mark.parametrize("text", [SECRET, SECRET.removeprefix("whsec_")])
def test_a_secret(text: str) -> None:
    assert read_secret(text) == KEY


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_c2hvcnQ=", "hunter2hunter2hunter2hunter2!!", "ä" * 40])
def test_what_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and 24 to 64 random bytes in base64") as caught:
        read_secret(text)
    assert len(text) < 8 or text not in str(caught.value)


def test_pauses_grow_up_to_a_limit_and_differ() -> None:
    longest = [pause_after(tries, 0, 1.0) or 0 for tries in range(1, 40)]

    assert longest[0] == FIRST_PAUSE
    assert longest == sorted(longest)
    assert longest[-1] == LONGEST_PAUSE
    assert pause_after(3, 0, 0.0) == longest[2] / 2
    assert max(longest) == LONGEST_PAUSE


def test_it_is_given_up_after_days() -> None:
    assert pause_after(30, GIVE_UP - 1, 0.5) is not None
    assert pause_after(30, GIVE_UP, 0.5) is None


def test_only_2xx_is_received() -> None:
    assert [status for status in (200, 204, 299, 199, 301, 307, 410, 500) if accepted(status)] == [
        200,
        204,
        299,
    ]
