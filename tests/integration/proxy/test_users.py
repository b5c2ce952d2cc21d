"""Who may use the proxy: forward, through CONNECT and through mounts."""

from __future__ import annotations

import base64
from pathlib import Path

import asyncpg
import pytest

from integration.proxy.conftest import StartProxy, client_context
from onceproxy.config.load import ConfigError
from onceproxy.config.model import Settings
from onceproxy.core.passwords import Cost, PasswordHash
from onceproxy.serve import Proxy
from raw_client import RawClient, Reply, a_request, ask, connected, post
from upstreams import Upstream

HASH = str(PasswordHash.of("pw of ann", b"0123456789abcdef", Cost(14, 8, 1)))
CHALLENGE = 'Basic realm="onceproxy", charset="UTF-8"'
USERS = [{"name": "ann", "password_hash": HASH}, {"name": "bob", "password_env": "PW_OF_BOB"}]


def basic(user: str, password: str, scheme: str = "Basic") -> str:
    return f"Proxy-Authorization: {scheme} " + base64.b64encode(f"{user}:{password}".encode()).decode()


ANN, BOB = basic("ann", "pw of ann"), basic("bob", "pw of bob")


@pytest.fixture
async def asking(start_proxy: StartProxy, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    """A proxy with two users, and a mount."""
    monkeypatch.setenv("PW_OF_BOB", "pw of bob")
    return await start_proxy(users=USERS, mounts={"/api": upstream.url})


def assert_asks(reply: Reply) -> None:
    assert (reply.status, reply.slug) == (407, "proxy-auth-required")
    assert reply.one("Proxy-Authenticate") == CHALLENGE
    assert reply.all("Connection") == ["close"]


NOBODY = [
    (),
    (basic("ann", "wrong"),),
    (basic("ann", ""),),
    (basic("bob", "pw of ann"),),
    (basic("eve", "pw of ann"),),
    (basic("Ann", "pw of ann"),),
    (basic("", ""),),
    (basic("ann", "pw of ann", "Bearer"),),
    ("Proxy-Authorization: Basic !",),
    ("Proxy-Authorization: Negotiate abc",),
    (ANN, BOB),
    (ANN.replace("Proxy-Authorization", "Authorization"),),
]


async def test_nobody_but_users_gets_through(asking: Proxy, upstream: Upstream) -> None:
    target = f"{upstream.url}/pay"
    for lines in NOBODY:
        assert_asks(await post(asking.url, target, *lines))
        assert_asks(await ask(asking.url, a_request("GET", target, *lines)))
        assert_asks(await post(asking.url, "/api/pay", *lines))
        assert_asks(await post(asking.url, "/nowhere", *lines))
        async with connected(asking.url) as client:
            assert_asks(await client.connect(f"127.0.0.1:{upstream.port}", *lines))
            assert await client.ended()
    assert upstream.requests == []
    assert upstream.connections == 0


async def test_why_is_not_told(asking: Proxy, upstream: Upstream) -> None:
    replies = [
        await post(asking.url, f"{upstream.url}/pay", basic(*who))
        for who in (("ann", "x"), ("bob", "x"), ("eve", "x"), ("eve", "pw of ann"), ("", "x"))
    ]

    lines = [
        [line for line in reply.head.split(b"\r\n") if not line.startswith(b"Date:")] for reply in replies
    ]
    assert all(line == lines[0] for line in lines)
    assert len({reply.body for reply in replies}) == 1


async def test_users_get_through_each_with_receipts_of_their_own(
    asking: Proxy, upstream: Upstream, database: asyncpg.Connection
) -> None:
    target = f"{upstream.url}/pay"
    first = await post(asking.url, target, ANN, "Authorization: Bearer up", "Authorization: again")
    copy = await post(asking.url, "/api/pay", ANN, "Authorization: Bearer up", "Authorization: again")
    other = await post(asking.url, target, BOB, "Authorization: Bearer up", "Authorization: again")

    assert (first.status, first.replayed) == (201, False)
    assert copy.replayed
    assert (other.status, other.replayed) == (201, False)
    assert [seen.all("Authorization") for seen in upstream.requests] == [["Bearer up", "again"]] * 2
    assert [seen.all("Proxy-Authorization") for seen in upstream.requests] == [[], []]
    scopes = await database.fetch("SELECT scope FROM receipts ORDER BY created_at")
    assert [row["scope"] for row in scopes] == [["user:ann"], ["user:bob"]]


async def test_in_a_tunnel_it_is_the_user_who_opened_it(
    trusting: StartProxy,
    secure_upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    database: asyncpg.Connection,
) -> None:
    monkeypatch.setenv("PW_OF_BOB", "pw of bob")
    proxy = await trusting(users=USERS)

    for inside in ((), (BOB,), (basic("ann", "wrong"),), ("Proxy-Authorization: Basic !",)):
        async with connected(proxy.url) as client:
            await _into_the_tunnel(client, proxy, secure_upstream, ANN)
            assert (
                await client.ask(a_request("POST", "/pay", _host(secure_upstream), *inside, body=b"1"))
            ).status == 201

    assert [seen.all("Proxy-Authorization") for seen in secure_upstream.requests] == [[]]
    rows = await database.fetch("SELECT scope FROM receipts")
    assert [row["scope"] for row in rows] == [["user:ann"]]


def _host(upstream: Upstream) -> str:
    return f"Host: localhost:{upstream.port}"


async def _into_the_tunnel(client: RawClient, proxy: Proxy, upstream: Upstream, *lines: str) -> None:
    assert (await client.connect(f"localhost:{upstream.port}", *lines)).status == 200
    await client.secure(client_context(proxy), "localhost")


async def test_who_is_removed_is_out_tunnels_included(
    trusting: StartProxy, secure_upstream: Upstream, tmp_path: Path
) -> None:
    file = tmp_path / "users"
    file.write_text(f"ann:{HASH}\nbob:{HASH}\n")
    settings: dict[str, object] = {"users_file": str(file), "database": "embedded"}
    proxy = await trusting(users_file=str(file))
    also = basic("bob", "pw of ann")

    async with connected(proxy.url) as ann, connected(proxy.url) as bob:
        await _into_the_tunnel(ann, proxy, secure_upstream, ANN)
        await _into_the_tunnel(bob, proxy, secure_upstream, also)
        request = a_request("GET", "/x", _host(secure_upstream))
        assert (await ann.ask(request)).status == (await bob.ask(request)).status == 201

        file.write_text(f"ann:{HASH}\n")
        proxy.follow(Settings.model_validate(settings))

        assert (await ann.ask(request)).status == 201, "she has not changed"
        assert_asks(await bob.ask(request))
        assert await bob.ended()
    assert_asks(await post(proxy.url, "http://127.0.0.1:1/", also))


async def test_users_who_can_not_be_read_change_nothing(
    start_proxy: StartProxy, upstream: Upstream, tmp_path: Path
) -> None:
    file = tmp_path / "users"
    file.write_text(f"ann:{HASH}\n")
    proxy = await start_proxy(users_file=str(file))
    settings = Settings(users_file=file)
    for text in ("", "ann:nonsense\n"):
        file.write_text(text)
        with pytest.raises(ConfigError):
            proxy.follow(settings)

    assert (await post(proxy.url, f"{upstream.url}/pay", ANN)).status == 201
    assert_asks(await post(proxy.url, f"{upstream.url}/pay", basic("eve", "x")))


@pytest.mark.parametrize("where", [{"listen": "0.0.0.0:0"}, {"admin": {"listen": "0.0.0.0:0"}}])
async def test_a_proxy_that_strangers_could_use_does_not_start(
    start_proxy: StartProxy, where: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match="other machines can reach it"):
        await start_proxy(**where)


async def test_one_may_not_lose_its_users_while_strangers_can_reach_it(start_proxy: StartProxy) -> None:
    beyond = {"listen": "0.0.0.0:0", "users": [{"name": "ann", "password_hash": HASH}]}
    proxy = await start_proxy(**beyond)

    with pytest.raises(ConfigError, match="other machines can reach it"):
        proxy.follow(Settings.model_validate({"listen": "0.0.0.0:0"}))


async def test_without_users_any_name_is_a_scope(proxy: Proxy, upstream: Upstream) -> None:
    target = f"{upstream.url}/pay"
    for user in ("run-1", "run-2", "läufer"):
        assert not (await post(proxy.url, target, basic(user, "whatever"))).replayed
        assert (await post(proxy.url, target, basic(user, "else"))).replayed
    assert (await post(proxy.url, target, "Proxy-Authorization: Bearer x")).slug == "bad-request"
    assert (await post(proxy.url, target, basic("a\0b", "x"))).slug == "bad-request"
