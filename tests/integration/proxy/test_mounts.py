"""Mounts: path prefixes of the proxy that stand for upstreams."""

from __future__ import annotations

from integration.proxy.conftest import StartProxy
from raw_client import a_request, ask, post
from upstreams import Upstream


async def test_a_mount_stands_for_its_upstream(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(mounts={"/pay": f"{upstream.url}/v1"})

    first = await post(proxy.url, "/pay/charges?a=1", "Host: proxy.internal")
    again = await post(proxy.url, "/pay/charges?a=1", "Host: other.name")

    assert again.replayed
    (seen,) = upstream.requests
    assert seen.target == "/v1/charges?a=1"
    assert seen.all("Host") == [f"127.0.0.1:{upstream.port}"]
    assert again.own == first.own


async def test_an_action_is_the_same_by_mount_and_by_forward(
    start_proxy: StartProxy, upstream: Upstream
) -> None:
    proxy = await start_proxy(mounts={"/pay": upstream.url})

    await post(proxy.url, "/pay/charges")
    again = await post(proxy.url, f"{upstream.url}/charges")

    assert again.replayed
    assert upstream.executions == 1


async def test_the_longest_prefix_wins(
    trusting: StartProxy, upstream: Upstream, secure_upstream: Upstream
) -> None:
    proxy = await trusting(mounts={"/a": upstream.url, "/a/b": secure_upstream.url})

    await post(proxy.url, "/a/c")
    await post(proxy.url, "/a/b/c")
    await post(proxy.url, "/a")

    assert [seen.target for seen in upstream.requests] == ["/c", "/"]
    assert [seen.target for seen in secure_upstream.requests] == ["/c"]


async def test_reads_pass_through(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(mounts={"/pay": upstream.url})

    for _ in (1, 2):
        assert (await ask(proxy.url, a_request("GET", "/pay/charges"))).status == 201

    assert len(upstream.requests) == 2


async def test_other_paths_are_nobodys(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(mounts={"/pay": upstream.url})

    for target in ("/", "/payments", "/pa", "/x/pay"):
        reply = await post(proxy.url, target)
        assert (reply.status, reply.slug) == (400, "bad-request")
        assert "mounts" in reply.problem()["detail"]

    assert upstream.requests == []


async def test_a_mount_can_not_be_left_upwards(start_proxy: StartProxy, upstream: Upstream) -> None:
    """An upstream may resolve dots: then a mount's base would be none, nor what a route's path matched."""
    proxy = await start_proxy(mounts={"/pay": f"{upstream.url}/v1"})

    for path in ("/pay/../secret", "/pay/./x", "/pay/a/..", "/pay/%2E%2e/secret", "/pay/.%2e;a=b/secret"):
        reply = await post(proxy.url, path)
        assert (reply.status, reply.slug) == (400, "bad-request")
        assert "resolved" in reply.problem()["detail"]
    assert upstream.requests == []

    for path in ("/pay/...", "/pay/.hidden", "/pay/a..b", "/pay/x?to=../..", "/pay/%2e%2e%2e"):
        assert (await post(proxy.url, path)).status == 201
