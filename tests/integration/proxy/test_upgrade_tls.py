"""``upgrade_tls``: what is asked for by http is sent by https."""

from __future__ import annotations

import pytest

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.core.messages import Origin, Request
from onceproxy.core.routes import Route
from raw_client import a_request, ask, post
from upstreams import Upstream

UPGRADED = {"name": "api", "match": {"path": "/pay/**"}, "upgrade_tls": True}


async def test_all_that_a_route_takes_goes_out_by_https(
    trusting: StartProxy, secure_upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await trusting(routes=[UPGRADED])
    plain = f"http://localhost:{secure_upstream.port}/pay"

    first, again = [await post(proxy.url, plain) for _ in (1, 2)]
    read = await ask(proxy.url, a_request("GET", plain))
    other = await post(proxy.url, plain.replace("http:", "https:"))

    assert (first.status, again.replayed, read.status) == (201, True, 201)
    assert not other.replayed, "the URL that was asked for is the action's, and that is another one"
    assert [seen.method for seen in secure_upstream.requests] == ["POST", "GET", "POST"]
    assert secure_upstream.requests[0].all("Host") == [f"localhost:{secure_upstream.port}"]
    assert await receipts() == ["completed"] * 2


async def test_the_certificate_is_verified(
    start_proxy: StartProxy, secure_upstream: Upstream, receipts: Receipts
) -> None:
    proxy = await start_proxy(routes=[UPGRADED])  # it does not know the upstream's authority

    reply = await post(proxy.url, f"http://localhost:{secure_upstream.port}/pay")

    assert (reply.status, reply.slug) == (502, "upstream-unreachable")
    assert "issuer is unknown" in reply.problem()["detail"]
    assert await receipts() == ["released"]


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (Origin("http", "a.example", 80), Origin("https", "a.example", 443)),
        (Origin("http", "a.example", 8080), Origin("https", "a.example", 8080)),
        (Origin("https", "a.example", 443), Origin("https", "a.example", 443)),
    ],
)
def test_ports(asked: Origin, sent: Origin) -> None:
    assert Route(upgrade_tls=True).sent_as(Request("GET", asked, b"/")).origin == sent
    assert Route().sent_as(Request("GET", asked, b"/")).origin == asked
