"""Probes: what is asked, and what an answer proves."""

from __future__ import annotations

import pytest

from onceproxy.core.attempts import Attempt, Failure, WirePhase
from onceproxy.core.messages import BytesBody, Origin, RawHeaders, Request, Response
from onceproxy.core.probes import Found, NotFound, Probe, Unclear, Verdict, judge, question
from onceproxy.core.templates import Asked

PROBE = Probe("https://api.example.com/orders?reference={key}", "$.data[0]", headers=("X-Account",))


def verdict(status: int, body: bytes = b"{}", headers: RawHeaders = (), probe: Probe = PROBE) -> Verdict:
    response = Response(status, b"", headers, BytesBody(body))
    return judge(probe, Attempt(WirePhase.BODY_RECEIVED, response, status=status), 100)


def test_the_question_carries_the_credentials_and_what_the_route_names() -> None:
    headers = (
        (b"AUTHORIZATION", b"Bearer s"),
        (b"Content-Type", b"application/json"),
        (b"Idempotency-Key", b"k"),
        (b"x-account", b"7"),
        (b"Cookie", b"a=b"),
    )
    request = Request("POST", Origin("https", "h", 443), b"/orders", headers, BytesBody(b"{}"))

    get = question(PROBE, Asked(request, "oid_a", b"k"))

    assert (get.method, str(get.origin), get.target) == (
        "GET",
        "https://api.example.com",
        b"/orders?reference=k",
    )
    assert get.body.size == 0
    assert get.headers == (
        (b"AUTHORIZATION", b"Bearer s"),
        (b"x-account", b"7"),
        (b"Cookie", b"a=b"),
        (b"Accept", b"application/json"),
        (b"Accept-Encoding", b"identity"),
    )


def test_what_is_there_happened() -> None:
    found = verdict(200, b'{"data": [{"id": 1}]}')

    assert isinstance(found, Found)
    assert found.response.body.read() == b'{"data": [{"id": 1}]}'


@pytest.mark.parametrize(("status", "body"), [(404, b"anything"), (200, b'{"data": []}'), (200, b"{}")])
def test_what_is_not_there(status: int, body: bytes) -> None:
    assert isinstance(verdict(status, body), NotFound)


@pytest.mark.parametrize("status", [301, 304, 400, 401, 403, 410, 429, 500, 502, 503])
def test_other_statuses_prove_nothing(status: int) -> None:
    assert verdict(status, b'{"data": [1]}') == Unclear(f"it answered {status}")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<html>please log in</html>", ()),
        (b"", ()),
        (b'{"data": [{"id": 1}', ()),
        (b"[" * 90, ()),
        (b'{"data": [1]}' + b" " * 100, ()),
        (b'{"data": [1]}', ((b"Content-Encoding", b"gzip"),)),
        (b'{"data": [null]}', ()),
        (b'{"data": [{}]}', ()),
        (b'{"data": [false]}', ()),
    ],
)
def test_a_200_that_proves_nothing(body: bytes, headers: RawHeaders) -> None:
    assert isinstance(verdict(200, body, headers), Unclear)


def test_zero_is_a_value() -> None:
    assert isinstance(verdict(200, b'{"data": [0]}'), Found)


def test_no_answer_proves_nothing() -> None:
    lost = Attempt(WirePhase.SENT, failure=Failure.CONNECTION_LOST, detail="the line was cut")

    assert judge(PROBE, lost, 100) == Unclear("it got no whole answer (the line was cut)")


@pytest.mark.parametrize(("url", "happened"), [("/x", "$.a"), ("https://h/{x}", "$.a"), ("https://h/", "a")])
def test_a_probe_that_can_never_be_asked_is_none(url: str, happened: str) -> None:
    with pytest.raises(ValueError):
        Probe(url, happened)
