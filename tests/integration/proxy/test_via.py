"""Via on the wire, both ways, and the loops that it finds."""

from __future__ import annotations

import re

import asyncpg
import pytest

from integration.proxy.conftest import StartProxy
from onceproxy.serve import Proxy
from raw_client import a_request, ask, connected, post
from upstreams import Upstream, answer, raw

OURS = re.compile(r"1\.1 onceproxy-[0-9a-f]{8}")


async def test_it_is_added_both_ways(proxy: Proxy, upstream: Upstream) -> None:
    reply = await post(proxy.url, f"{upstream.url}/pay")
    read = await ask(proxy.url, a_request("GET", f"{upstream.url}/read"))

    assert OURS.fullmatch(reply.one("Via"))
    assert [reply.one("Via"), read.one("Via")] == [seen.all("Via")[0] for seen in upstream.requests]


async def test_it_stands_behind_those_that_were_before(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(201, b"", (("via", "1.1 origin-cache"),)))

    reply = await post(proxy.url, f"{upstream.url}/pay", "Via: 1.1 laptop", "via: 1.0 office (old, slow)")

    assert upstream.requests[0].all("Via")[:2] == ["1.1 laptop", "1.0 office (old, slow)"]
    assert OURS.fullmatch(upstream.requests[0].all("Via")[2])
    assert reply.all("Via")[0] == "1.1 origin-cache"
    assert OURS.fullmatch(reply.all("Via")[1])


async def test_it_tells_the_version_that_a_message_came_in(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(raw(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"))

    reply = await ask(proxy.url, a_request("GET", f"{upstream.url}/", version="HTTP/1.0"))

    assert upstream.requests[0].all("Via")[0].startswith("1.0 onceproxy-")
    assert reply.one("Via").startswith("1.0 onceproxy-")


async def test_a_receipt_holds_none_of_ours(
    proxy: Proxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    upstream.will(answer(201, b"", (("Via", "1.1 theirs"),)))

    first, again = [await post(proxy.url, f"{upstream.url}/pay") for _ in range(2)]

    assert again.replayed
    assert again.all("Via") == first.all("Via")
    assert len(again.all("Via")) == 2
    for line in await database.fetch("SELECT * FROM receipts"):
        assert b"theirs" in str(dict(line)).encode()
        assert b"onceproxy-" not in str(dict(line)).encode().lower()


async def test_a_name_of_ones_own(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(via="gateway.example:8888")

    reply = await post(proxy.url, f"{upstream.url}/pay")

    assert reply.one("Via") == upstream.requests[0].all("Via")[0] == "1.1 gateway.example:8888"


async def test_none_where_that_is_said(start_proxy: StartProxy, upstream: Upstream) -> None:
    proxy = await start_proxy(via=False)

    reply = await post(proxy.url, f"{upstream.url}/pay")

    assert reply.all("Via") == upstream.requests[0].all("Via") == []


async def test_no_answer_of_our_own_has_it(proxy: Proxy, unused_tcp_port: int) -> None:
    reply = await post(proxy.url, f"http://127.0.0.1:{unused_tcp_port}/pay")

    assert reply.status == 502
    assert reply.all("Via") == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_that_comes_back_to_us_is_a_loop(
    start_proxy: StartProxy, unused_tcp_port: int, method: str
) -> None:
    """By another proxy: what leads straight back to our own port is refused before it is sent."""
    here = f"127.0.0.1:{unused_tcp_port}"
    other = await start_proxy(mounts={"/round": f"http://{here}/round"}, via="other")
    proxy = await start_proxy(listen=here, mounts={"/round": f"{other.url}/round"})

    reply = await ask(proxy.url, a_request(method, "/round/x", body=b""))

    assert (reply.status, reply.slug) == (508, "loop-detected")
    assert reply.one("Proxy-Status") == "onceproxy;error=proxy_loop_detected"


async def test_a_loop_of_tunnels_is_one_too(proxy: Proxy, upstream: Upstream) -> None:
    name = (await post(proxy.url, f"{upstream.url}/pay")).one("Via")

    async with connected(proxy.url) as client:
        reply = await client.connect("api.example:443", f"Via: 1.1 other, {name}")

        assert (reply.status, reply.slug) == (508, "loop-detected")
        assert await client.ended()


async def test_two_proxies_may_pass_on_to_one_another(start_proxy: StartProxy, upstream: Upstream) -> None:
    behind = await start_proxy(mounts={"/api": upstream.url}, via="behind")
    before = await start_proxy(mounts={"/api": f"{behind.url}/api"})

    first, again = [await ask(before.url, a_request("POST", "/api/pay", body=b"")) for _ in range(2)]

    assert (first.status, again.replayed) == (201, True)
    assert [name.split()[1][:9] for name in upstream.requests[0].all("Via")] == ["onceproxy", "behind"]
    assert [name.split()[1][:9] for name in again.all("Via")] == ["behind", "onceproxy"]
    assert upstream.executions == 1


async def test_installations_have_names_of_their_own(start_proxy: StartProxy, upstream: Upstream) -> None:
    one, same = await start_proxy(), await start_proxy()
    other = await start_proxy(data_dir=str(one.ca_directory / "other"))

    names = [(await post(proxy.url, f"{upstream.url}/pay")).one("Via") for proxy in (one, same, other)]

    assert names[0] == names[1] != names[2]
