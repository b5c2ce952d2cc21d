"""What clients are told of a destination that is forbidden, on each way there is."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from integration.proxy.conftest import Receipts, StartProxy, client_context
from onceproxy.config.egress import Egress
from onceproxy.config.model import Settings
from onceproxy.serve import Proxy
from raw_client import a_request, ask, connected, post
from upstreams import Upstream, close

DENY = {"private_networks": "deny"}
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")


@pytest.fixture
async def closed(start_proxy: StartProxy) -> Proxy:
    """A proxy that may go to no private network."""
    return await start_proxy(egress=DENY)


def by_name(upstream: Upstream) -> str:
    return f"http://localhost:{upstream.port}"


async def test_an_action_is_released_and_told_which_rule(
    closed: Proxy, upstream: Upstream, receipts: Receipts
) -> None:
    with capture_logs() as logs:
        reply = await post(closed.url, f"{by_name(upstream)}/pay")

    problem = reply.problem()
    assert (reply.status, reply.slug, problem["rule"]) == (403, "egress-denied", "loopback")
    assert "egress.private_networks" in problem["detail"]
    assert ".." not in problem["detail"]
    assert "127.0.0.1" not in reply.body.decode()
    assert "::1" not in reply.body.decode()
    assert reply.one("Proxy-Status") == "onceproxy;error=destination_ip_prohibited"
    assert reply.told["state"] == "released"
    assert await receipts() == ["released"]
    assert upstream.connections == 0
    [denied] = [line for line in logs if line["event"] == "egress-denied"]
    assert (denied["rule"], denied["host"], denied["way"]) == ("loopback", "localhost", "http")
    assert "127.0.0.1" in denied["addresses"]
    [decision] = [line for line in logs if line["event"] == "decision"]
    assert decision["reason"] == "egress-denied"
    page = await ask(closed.admin_url, a_request("GET", "/metrics"))
    assert b'onceproxy_egress_denied_total{rule="loopback"} 1.0' in page.body


async def test_after_a_reload_that_allows_it_the_same_action_is_sent(
    closed: Proxy, upstream: Upstream, receipts: Receipts
) -> None:
    assert (await post(closed.url, f"{upstream.url}/pay")).status == 403
    closed.follow(Settings(egress=Egress(allow=(f"127.0.0.1:{upstream.port}",))))

    assert (await post(closed.url, f"{upstream.url}/pay")).status == 201
    assert (await post(closed.url, f"{upstream.url}/pay")).replayed
    assert await receipts() == ["completed"]


async def test_after_a_reload_an_idle_connection_is_not_used_where_it_may_not_lead(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy()
    assert (await ask(proxy.url, a_request("GET", f"{upstream.url}/"))).status == 201
    proxy.follow(Settings(egress=Egress(private_networks="deny")))

    assert (await ask(proxy.url, a_request("GET", f"{upstream.url}/"))).slug == "egress-denied"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("lines", [(), UPGRADE], ids=["read", "upgrade"])
async def test_what_passes_through_is_judged(
    closed: Proxy, upstream: Upstream, lines: tuple[str, ...]
) -> None:
    for url in (upstream.url, by_name(upstream)):
        reply = await ask(closed.url, a_request("GET", f"{url}/socket", *lines))
        assert (reply.status, reply.slug) == (403, "egress-denied")
    assert upstream.connections == 0


async def test_a_tunnel_to_a_forbidden_host_is_not_opened(closed: Proxy, upstream: Upstream) -> None:
    async with connected(closed.url) as client:
        reply = await client.connect(urlsplit(upstream.url).netloc)

        assert (reply.status, reply.slug) == (403, "egress-denied")
        assert await client.ended()


async def test_inside_a_tunnel_each_request_is_judged(closed: Proxy, secure_upstream: Upstream) -> None:
    where = urlsplit(secure_upstream.url).netloc
    async with connected(closed.url) as client:
        assert (await client.connect(where)).status == 200
        await client.secure(client_context(closed), "localhost")
        reply = await client.ask(a_request("POST", "/pay", f"Host: {where}", body=b"1"))

    assert (reply.status, reply.slug) == (403, "egress-denied")
    assert secure_upstream.connections == 0


@pytest.mark.parametrize("tls", [{"intercept": False}, {"passthrough": ["*"]}])
async def test_opaque_tunnels_are_judged(
    start_proxy: StartProxy, upstream: Upstream, tls: dict[str, object]
) -> None:
    proxy = await start_proxy(egress=DENY, tls=tls)
    for host in ("localhost", "127.0.0.1"):
        reply = await ask(proxy.url, a_request("CONNECT", f"{host}:{upstream.port}"))
        assert (reply.status, reply.slug) == (403, "egress-denied")
    assert upstream.connections == 0


@pytest.mark.parametrize("port", [22, 25, 5432])
async def test_tunnels_go_to_no_other_ports_than_443(start_proxy: StartProxy, port: int) -> None:
    proxy = await start_proxy(tls={"intercept": False})
    reply = await ask(proxy.url, a_request("CONNECT", f"10.0.0.1:{port}"))

    assert (reply.status, reply.problem()["rule"]) == (403, "port")
    assert reply.one("Proxy-Status") == "onceproxy;error=http_request_denied"


async def test_the_proxy_is_not_reached_through_itself(proxy: Proxy) -> None:
    for url in (proxy.url, proxy.admin_url, proxy.admin_url.replace("127.0.0.1", "localhost")):
        reply = await ask(proxy.url, a_request("GET", f"{url}/metrics"))
        assert (reply.status, reply.problem()["rule"]) == (403, "own-port")
        connect = await ask(proxy.url, a_request("CONNECT", f"127.0.0.1:{urlsplit(url).port}"))
        assert (connect.status, connect.problem()["rule"]) == (403, "own-port")


async def test_a_probe_is_judged(start_proxy: StartProxy, upstream: Upstream) -> None:
    async with Upstream() as asked:
        probe = {"url": f"http://localhost:{asked.port}/found", "happened": "$", "settle": "0s", "tries": 1}
        route = {"name": "r", "match": {"path": "/pay"}, "in_doubt": "probe", "probe": probe}
        proxy = await start_proxy(routes=[route], egress={"deny": ["localhost"]})
        upstream.will(close)
        assert (await post(proxy.url, f"{upstream.url}/pay")).status == 502

        reply = await post(proxy.url, f"{upstream.url}/pay")

        assert (reply.status, reply.slug) == (409, "outcome-unknown")
        assert asked.connections == 0
    assert upstream.executions == 1


async def test_a_mount_is_judged(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(egress=DENY, mounts={"/api": upstream.url})
    reply = await post(proxy.url, "/api/pay")

    assert (reply.status, reply.slug) == (403, "egress-denied")
