"""What an upstream's answer, or its silence, means for the next copy (the outcome table)."""

from __future__ import annotations

import asyncio

import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.serve import Proxy
from raw_client import a_request, ask, post
from upstreams import Behaviour, Upstream, answer, close, closing, hang, raw, reset

RELEASING = (401, 403, 407, 408, 409, 421, 423, 425, 429)
COMPLETING = (200, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 402, 404, 410, 412, 413, 422, 451, 499)
DOUBTFUL = (500, 501, 502, 503, 504, 599)


@pytest.mark.parametrize("status", COMPLETING)
async def test_an_answer_completes(proxy: Proxy, upstream: Upstream, receipts: Receipts, status: int) -> None:
    upstream.always = answer(status, b"declined", (("Location", f"{upstream.url}/elsewhere"),))

    first = await post(proxy.url, f"{upstream.url}/pay")
    again = await post(proxy.url, f"{upstream.url}/pay")

    assert first.status == again.status == status
    assert first.told == {"state": "completed", "attempt": 1, "reason": f"status-{status}"}
    assert again.told["state"] == "completed"
    assert again.replayed
    assert len(upstream.requests) == 1
    assert await receipts() == ["completed"]


@pytest.mark.parametrize("status", RELEASING)
async def test_who_was_turned_away_at_the_door_is_sent_again(
    proxy: Proxy, upstream: Upstream, receipts: Receipts, status: int
) -> None:
    upstream.will(answer(status, b"go away", (("Retry-After", "7"), ("WWW-Authenticate", "Basic realm=x"))))

    turned_away = await post(proxy.url, f"{upstream.url}/pay")
    assert (turned_away.status, turned_away.body) == (status, b"go away")
    assert turned_away.told == {"state": "released", "attempt": 1, "reason": f"status-{status}"}
    assert turned_away.all("Retry-After") == ["7"]
    assert turned_away.all("WWW-Authenticate") == ["Basic realm=x"]
    assert await receipts() == ["released"]

    retry = await post(proxy.url, f"{upstream.url}/pay")
    assert (retry.status, retry.replayed) == (201, False)
    assert retry.told == {"state": "completed", "attempt": 2, "reason": "status-201"}
    assert (await post(proxy.url, f"{upstream.url}/pay")).replayed
    assert upstream.executions == 2


@pytest.mark.parametrize("status", DOUBTFUL)
async def test_a_5xx_is_in_doubt(proxy: Proxy, upstream: Upstream, receipts: Receipts, status: int) -> None:
    upstream.will(answer(status, b"oops"))

    first = await post(proxy.url, f"{upstream.url}/pay")
    assert (first.status, first.body) == (status, b"oops")
    assert first.told == {"state": "in_doubt", "attempt": 1, "reason": f"status-{status}"}
    assert first.all("Proxy-Status") == []  # the upstream's answer, not ours
    assert await receipts() == ["in_doubt"]

    for _ in (1, 2):
        retry = await post(proxy.url, f"{upstream.url}/pay")
        assert (retry.status, retry.slug) == (409, "outcome-unknown")
        problem = retry.problem()
        assert problem["upstream_status"] == status
        assert problem["attempt"] == 1
        assert f"receipts show {problem['request_id']}" in problem["detail"]
        assert retry.told["state"] == "in_doubt"
        assert retry.told["reason"] == "outcome-unknown"
    assert upstream.executions == 1


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (close, "connection_terminated"),
        (reset, "connection_terminated"),
        (raw(b"HTTP/1.1 201 Made\r\nContent-Length: 10\r\n\r\nabc"), "connection_terminated"),
        (
            raw(b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            "connection_terminated",
        ),
        (raw(b"HTTP/1.1 201 Ma"), "connection_terminated"),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "http_protocol_error"),
        (raw(b"HTTP/1.1 201 Made\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na"), "http_protocol_error"),
    ],
)
async def test_a_lost_answer_is_in_doubt(
    proxy: Proxy, upstream: Upstream, receipts: Receipts, behaviour: Behaviour, error: str
) -> None:
    upstream.will(behaviour)

    first = await post(proxy.url, f"{upstream.url}/pay")
    assert (first.status, first.slug) == (502, "upstream-failed")
    assert first.one("Proxy-Status") == f"onceproxy;error={error}"
    assert "will not be sent again" in first.problem()["detail"]
    assert first.told["state"] == "in_doubt"

    retry = await post(proxy.url, f"{upstream.url}/pay")
    assert (retry.status, retry.slug) == (409, "outcome-unknown")
    assert upstream.executions == 1
    assert await receipts() == ["in_doubt"]


async def test_an_upstream_that_hangs_is_in_doubt(
    start_proxy: StartProxy, upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await start_proxy(limits={"upstream_timeout": "100ms"})
    upstream.will(hang)

    first = await post(proxy.url, f"{upstream.url}/pay")
    assert (first.status, first.slug) == (504, "upstream-timeout")
    assert first.one("Proxy-Status") == "onceproxy;error=http_response_timeout"
    assert first.problem()["phase"] == "sent"
    assert first.told["state"] == "in_doubt"

    retry = await post(proxy.url, f"{upstream.url}/pay")
    assert (retry.status, retry.slug) == (409, "outcome-unknown")
    assert upstream.executions == 1
    assert await receipts() == ["in_doubt"]


async def test_a_refused_connection_is_released(
    proxy: Proxy, unused_tcp_port: int, receipts: Receipts
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/pay"

    refused = await post(proxy.url, url)
    assert (refused.status, refused.slug) == (502, "upstream-unreachable")
    assert refused.one("Proxy-Status") == "onceproxy;error=connection_refused"
    assert "Retrying is safe" in refused.problem()["detail"]
    assert refused.told == {"state": "released", "attempt": 1, "reason": "connection-refused"}
    assert await receipts() == ["released"]

    async with Upstream(port=unused_tcp_port) as upstream:
        sent = await post(proxy.url, url)
        assert sent.told == {"state": "completed", "attempt": 2, "reason": "status-201"}
        assert upstream.executions == 1


async def test_a_name_that_nobody_has_is_released(proxy: Proxy, receipts: Receipts) -> None:
    reply = await post(proxy.url, "http://nobody.invalid/pay")

    assert (reply.status, reply.slug) == (502, "upstream-unreachable")
    assert reply.one("Proxy-Status") == "onceproxy;error=dns_error"
    assert reply.told == {"state": "released", "attempt": 1, "reason": "name-not-resolved"}
    assert await receipts() == ["released"]


async def test_reads_get_the_same_problems_and_no_receipt(
    start_proxy: StartProxy, upstream: Upstream, unused_tcp_port: int, receipts: Receipts
) -> None:
    proxy = await start_proxy(limits={"upstream_timeout": "100ms"})
    upstream.will(hang, close)
    replies = [
        await ask(proxy.url, a_request("GET", url))
        for url in (
            f"{upstream.url}/hangs",
            f"{upstream.url}/closes",
            f"http://127.0.0.1:{unused_tcp_port}/",
            "http://nobody.invalid/",
        )
    ]

    assert [reply.slug for reply in replies] == [
        "upstream-timeout",
        "upstream-failed",
        "upstream-unreachable",
        "upstream-unreachable",
    ]
    assert await receipts() == []


async def test_a_redirect_is_not_followed(proxy: Proxy, upstream: Upstream) -> None:
    async with Upstream() as elsewhere:
        upstream.will(answer(307, b"", (("Location", f"{elsewhere.url}/pay"),)))
        reply = await post(proxy.url, f"{upstream.url}/pay")

        assert reply.status == 307
        assert reply.one("Location") == f"{elsewhere.url}/pay"
        assert elsewhere.requests == []


async def test_interim_answers_are_no_answer(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(
        raw(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok"
        )
    )
    reply = await post(proxy.url, f"{upstream.url}/pay")

    assert (reply.status, reply.body, reply.all("Link")) == (201, b"ok", [])


async def test_an_upstream_that_closes_each_time_is_no_doubt(proxy: Proxy, upstream: Upstream) -> None:
    upstream.always = closing(answer())
    replies = await asyncio.gather(*(post(proxy.url, f"{upstream.url}/{n}") for n in range(10)))

    assert {reply.status for reply in replies} == {201}
    assert upstream.executions == 10
