"""What a client is told: the headers about the receipt, and problems that say what to do next."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Any

import http_sf
import pytest

from integration.proxy.conftest import StartProxy
from onceproxy.serve import Proxy
from raw_client import Reply, a_request, ask, connected, post
from upstreams import Upstream, answer, close, hang

REQUEST_ID = re.compile(r"oid_[a-z2-7]{52}")


async def test_a_guarded_answer_names_its_receipt(proxy: Proxy, upstream: Upstream) -> None:
    first = await post(proxy.url, f"{upstream.url}/pay")
    again = await post(proxy.url, f"{upstream.url}/pay")

    assert REQUEST_ID.fullmatch(first.one("Onceproxy-Request-Id"))
    assert first.one("Onceproxy-Status") == "state=completed; attempt=1; reason=status-201"
    assert re.fullmatch(r"state=completed; attempt=1; age=\d+", again.one("Onceproxy-Status"))
    assert again.one("Onceproxy-Request-Id") == first.one("Onceproxy-Request-Id")
    assert first.all("Idempotency-Replayed") == []
    assert again.all("Idempotency-Replayed") == ["true"]
    assert first.all("Proxy-Status") == again.all("Proxy-Status") == []


async def test_a_read_is_told_nothing(proxy: Proxy, upstream: Upstream) -> None:
    reply = await ask(proxy.url, a_request("GET", f"{upstream.url}/x"))

    assert [name for name, _ in reply.headers if name.lower().startswith(("onceproxy", "idempotency"))] == []


async def every_problem(start_proxy: StartProxy, upstream: Upstream) -> dict[str, Reply]:
    """One answer of each problem that can be had without breaking the database, by slug."""
    proxy = await start_proxy(
        limits={
            "request_body": "1KiB",
            "receipt_body": "1KiB",
            "upstream_timeout": "1s",
            "head_timeout": "500ms",
        },
        defaults={"wait": "0"},
    )
    url = upstream.url
    upstream.will(answer(201, b"x" * 2000), close, hang)
    found = [await post(proxy.url, url + path) for path in ("/large", "/large", "/lost", "/lost", "/hangs")]
    await post(proxy.url, f"{url}/keyed", "Idempotency-Key: k")
    found += [
        await post(proxy.url, f"{url}/keyed", "Idempotency-Key: k", body=b"other"),
        await post(proxy.url, f"{url}/keyed", "Idempotency-Key: k", "Cookie: other"),
        await post(proxy.url, f"{url}/keyed", "Idempotency-Key: "),
        await post(proxy.url, f"{url}/pay", body=b"x" * 2000),
        await post(proxy.url, f"{url}/pay", "Expect: miracles"),
        await post(proxy.url, f"{url}/pay", "Connection: Upgrade", "Upgrade: websocket"),
        await post(proxy.url, "/no-mount"),
        await post(proxy.url, "http://nobody.invalid/"),
    ]
    async with connected(proxy.url) as silent:
        found.append(await silent.reply())
    return {reply.slug: reply for reply in found if reply.all("Proxy-Status")}


async def test_every_problem_says_what_to_do_next(start_proxy: StartProxy, upstream: Upstream) -> None:
    problems = await every_problem(start_proxy, upstream)

    assert set(problems) == {
        "bad-key",
        "bad-request",
        "body-too-large",
        "credential-mismatch",
        "expectation-failed",
        "key-reused",
        "outcome-unknown",
        "receipt-body-not-kept",
        "request-timeout",
        "unsupported",
        "upstream-failed",
        "upstream-timeout",
        "upstream-unreachable",
    }
    for slug, reply in problems.items():
        problem = reply.problem()
        assert problem["title"], slug
        assert re.search(
            r"\b(send|retry|retrying|use|leave|look|ask|open|add)\b", problem["detail"], re.IGNORECASE
        ), problem["detail"]
        assert problem["detail"].endswith("."), problem["detail"]
        assert parsedate_to_datetime(reply.one("Date")), slug
        members: Any = http_sf.parse(reply.one("Proxy-Status").encode(), tltype="list")
        ((name, parameters),) = members
        assert str(name) == "onceproxy"
        assert "error" in parameters


async def test_problems_of_a_guarded_request_name_the_receipt(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    problems = await every_problem(start_proxy, upstream)

    guarded = {
        "credential-mismatch",
        "key-reused",
        "outcome-unknown",
        "receipt-body-not-kept",
        "upstream-failed",
        "upstream-timeout",
        "upstream-unreachable",
    }
    for slug, reply in problems.items():
        if slug in guarded:
            assert reply.problem()["request_id"] == reply.one("Onceproxy-Request-Id")
            assert reply.told["state"] in ("completed", "released", "in_doubt", "refused")
        else:  # nothing was claimed, so there is nothing to name
            assert "request_id" not in reply.problem()
            assert reply.all("Onceproxy-Status") == []


async def test_a_problem_of_ours_leaves_the_connection_open_where_it_can(
    proxy: Proxy, upstream: Upstream
) -> None:
    async with connected(proxy.url) as client:
        unreachable = await client.ask(a_request("POST", "http://nobody.invalid/", body=b"1"))
        bad_key = await client.ask(a_request("POST", f"{upstream.url}/", "Idempotency-Key: ", body=b"1"))
        fine = await client.ask(a_request("POST", f"{upstream.url}/", body=b"1"))

    assert [unreachable.status, bad_key.status, fine.status] == [502, 400, 201]


async def test_the_way_a_problem_is_told_to_a_head(proxy: Proxy) -> None:
    async with connected(proxy.url) as client:
        reply = await client.ask(a_request("HEAD", "http://nobody.invalid/"))
        again = await client.ask(a_request("HEAD", "http://nobody.invalid/"))

    assert reply.status == again.status == 502
    assert again.one("Content-Type") == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "words"), [("GET", "Retrying is safe"), ("POST", "nothing guards it: look at the upstream")]
)
async def test_a_lost_answer_to_what_is_not_guarded_says_so(
    start_proxy: StartProxy, upstream: Upstream, method: str, words: str
) -> None:
    proxy = await start_proxy(routes=[{"name": "open", "match": {"path": "/**"}, "guard": False}])
    upstream.always = close

    reply = await ask(proxy.url, a_request(method, f"{upstream.url}/x", body=b""))

    assert (reply.status, reply.slug) == (502, "upstream-failed")
    assert words in reply.problem()["detail"]
