"""An upstream that can't be reached: provably nothing was sent, so the next copy is."""

from __future__ import annotations

import asyncio
import socket
import ssl

import asyncpg
import pytest
import trustme

from faults.upstream.conftest import METHODS, a_payment, pay, state_of
from proxies import ProxyProcess
from upstreams import Upstream, door

pytestmark = pytest.mark.asyncio(loop_scope="module")


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port


def server_context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


async def is_released(proxy: ProxyProcess, database: asyncpg.Pool, method: str, url: str, slug: str) -> None:
    first = await pay(proxy, method, url)
    assert first.slug == slug, method
    assert "Retrying is safe" in first.problem()["detail"], method
    assert first.told["state"] == "released", method
    assert await state_of(database, url) == "released", method


async def test_a_port_that_refuses(proxy: ProxyProcess, database: asyncpg.Pool) -> None:
    for method in METHODS:
        port = a_free_port()
        url = a_payment(f"http://127.0.0.1:{port}")
        await is_released(proxy, database, method, url, "upstream-unreachable")
        async with Upstream(port=port) as upstream:
            second, third = [await pay(proxy, method, url) for _ in (1, 2)]

            assert (second.status, second.told["attempt"], third.replayed) == (201, 2, True), method
            assert upstream.executions == 1, method


async def test_a_name_that_nobody_has(proxy: ProxyProcess, database: asyncpg.Pool) -> None:
    for method in METHODS:
        url = f"http://{method.lower()}.invalid/pay"
        for _ in (1, 2):
            await is_released(proxy, database, method, url, "upstream-unreachable")


@pytest.mark.parametrize("trouble", ["untrusted", "misnamed", "no TLS", "breaks off"])
async def test_tls_that_can_not_be_had(
    proxy: ProxyProcess, database: asyncpg.Pool, authority: trustme.CA, trouble: str
) -> None:
    for method in METHODS:
        port = a_free_port()
        url = a_payment(f"https://localhost:{port}")
        tls = None
        if trouble == "untrusted":
            tls = server_context(trustme.CA())
        elif trouble == "misnamed":
            tls = server_context(authority, "other.example")
        async with Upstream(tls, port=port) as upstream:
            if trouble == "no TLS":
                upstream.at_the_door(door(1, b"HTTP/1.1 400 No\r\n\r\n", then="close"))
            elif trouble == "breaks off":
                upstream.at_the_door(door(1))
            await is_released(proxy, database, method, url, "upstream-unreachable")
            assert upstream.executions == 0, method
        async with Upstream(server_context(authority), port=port) as upstream:
            second, third = [await pay(proxy, method, url) for _ in (1, 2)]

            assert (second.status, second.told["attempt"], third.replayed) == (201, 2, True), method
            assert upstream.executions == 1, method


async def test_a_handshake_that_hangs(
    database_url: str, roots: str, database: asyncpg.Pool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def hangs(proxy: ProxyProcess, method: str) -> None:
        async with Upstream() as upstream:
            upstream.at_the_door(door(then="hang"))
            url = a_payment(f"https://localhost:{upstream.port}")
            await is_released(proxy, database, method, url, "upstream-timeout")

    data_dir = tmp_path_factory.mktemp("impatient")
    async with ProxyProcess(data_dir, database_url, roots + "limits: {connect_timeout: 2s}\n") as proxy:
        await asyncio.gather(*(hangs(proxy, method) for method in METHODS))
