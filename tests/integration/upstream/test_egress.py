"""Which addresses are dialled: those that were judged, and no others. Runs on both event loops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from integration.upstream.conftest import AT_HOME, MakeClient, a_request, origin_of, yes
from onceproxy.config.egress import parse_entry
from onceproxy.core.attempts import Failure, SendFailed, WirePhase
from onceproxy.core.egress import EgressPolicy
from onceproxy.core.messages import Origin
from onceproxy.core.outcomes import OutcomeKind, classify
from onceproxy.upstream.egress import _is_here
from upstreams import Upstream

NAME = "shop.example"

Names = Callable[..., list[str]]


def only(*texts: str) -> EgressPolicy:
    """A policy that lets HTTP and tunnels go to these addresses, under any name."""
    every = (range(1, 65536),)
    return EgressPolicy(allow=tuple(map(parse_entry, texts)), ports=every, tunnel_ports=every)


@pytest.fixture
async def resolves(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Says what the next look-ups of ``NAME`` find; the last answer stays. Returns the log of look-ups."""
    loop = asyncio.get_running_loop()
    answers: list[tuple[str, ...]] = []
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        assert host == NAME, "only the name is looked up"
        asked.append(host)
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)

    def resolve(*each: tuple[str, ...]) -> list[str]:
        answers[:] = each
        return asked

    return resolve


@pytest.fixture
async def decoy(upstream: Upstream) -> AsyncIterator[list[int]]:
    """Listens on 127.0.0.2 at the upstream's port, and counts who comes."""
    came: list[int] = []

    async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.2", upstream.port)
    yield came
    server.close()
    await server.wait_closed()


async def test_of_mixed_addresses_only_those_allowed_are_dialled(
    make_client: MakeClient, upstream: Upstream, decoy: list[int], resolves: Names
) -> None:
    resolves(("127.0.0.2", "10.0.0.1", "127.0.0.1", "169.254.169.254"))
    client = make_client()
    client.follow(only("127.0.0.1"))

    attempt = await client.send(a_request(Origin("http", NAME, upstream.port)), yes)

    assert attempt.status == 201
    assert (len(decoy), upstream.connections) == (0, 1)


async def test_a_name_that_leads_elsewhere_after_it_was_judged(
    make_client: MakeClient, upstream: Upstream, decoy: list[int], resolves: Names
) -> None:
    asked = resolves(("127.0.0.1",), ("127.0.0.2",))
    client = make_client()
    client.follow(only("127.0.0.1"))

    first = await client.send(a_request(Origin("http", NAME, upstream.port)), yes, reuse_idle=0)
    second = await client.send(a_request(Origin("http", NAME, upstream.port)), yes, reuse_idle=0)

    assert (first.status, second.failure, second.rule) == (201, Failure.EGRESS_DENIED, "allow-list")
    assert (len(asked), len(decoy), upstream.connections) == (2, 0, 1)


@pytest.mark.parametrize(
    ("addresses", "rule"),
    [
        (("127.0.0.1",), "loopback"),
        (("10.0.0.1", "127.0.0.1"), "private-network"),
        (("169.254.169.254",), "metadata"),
        (("::ffff:127.0.0.1",), "loopback"),
        (("fe80::1%lo",), "link-local"),
    ],
)
async def test_where_no_address_is_allowed_nothing_happened(
    make_client: MakeClient, upstream: Upstream, resolves: Names, addresses: tuple[str, ...], rule: str
) -> None:
    resolves(addresses)
    client = make_client()
    client.follow(EgressPolicy())

    attempt = await client.send(a_request(Origin("http", NAME, upstream.port)), yes)
    with pytest.raises(SendFailed) as caught:
        await client.open(a_request(Origin("http", NAME, upstream.port), "GET"))

    assert (attempt.phase, attempt.failure) == (WirePhase.RESOLVING, Failure.EGRESS_DENIED)
    assert attempt.rule == caught.value.rule == rule
    assert classify(attempt).kind is OutcomeKind.RELEASED
    assert not any(address in attempt.detail for address in addresses), "it tells nobody where a name leads"
    assert upstream.connections == 0


async def test_a_forbidden_name_is_not_looked_up(make_client: MakeClient, resolves: Names) -> None:
    asked = resolves(("8.8.8.8",))
    client = make_client()
    client.follow(EgressPolicy(deny=(parse_entry("**.example"),)))

    assert (await client.send(a_request(Origin("http", NAME, 443)), yes)).rule == "deny-list"
    assert asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f000001", "2130706433", "127.1"])
async def test_a_number_is_judged_whoever_asks_for_it(
    make_client: MakeClient, upstream: Upstream, host: str
) -> None:
    client = make_client()
    client.follow(EgressPolicy())

    attempt = await client.send(a_request(Origin("http", host, upstream.port)), yes)

    assert attempt.failure is Failure.EGRESS_DENIED
    assert upstream.connections == 0


async def test_tunnels_are_judged(make_client: MakeClient, upstream: Upstream, resolves: Names) -> None:
    resolves(("127.0.0.1",))
    client = make_client()
    client.follow(EgressPolicy())

    for host in (NAME, "127.0.0.1"):
        with pytest.raises(SendFailed) as caught:
            await client.tunnel(host, upstream.port, asyncio.Protocol)
        assert caught.value.failure is Failure.EGRESS_DENIED
    assert upstream.connections == 0


async def test_an_idle_connection_is_judged_by_the_policy_of_now(
    make_client: MakeClient, upstream: Upstream, resolves: Names
) -> None:
    asked = resolves(("127.0.0.1",))
    client = make_client()
    request = a_request(Origin("http", NAME, upstream.port))
    client.follow(only("127.0.0.1"))
    assert (await client.send(request, yes)).status == 201

    client.follow(only("127.0.0.1", "10.0.0.1"))
    assert (await client.send(request, yes)).status == 201
    assert (upstream.connections, len(asked)) == (1, 1), "it is still allowed, so it is used again"

    client.follow(only("10.0.0.1"))
    attempt = await client.send(request, yes)

    assert (attempt.failure, attempt.rule) == (Failure.EGRESS_DENIED, "allow-list")
    assert len(upstream.requests) == 2


async def test_ports_of_our_own_are_never_dialled(make_client: MakeClient, upstream: Upstream) -> None:
    client = make_client()
    client.follow(EgressPolicy(private=True, at_home=True, own_ports=frozenset({upstream.port})))

    for host in ("127.0.0.1", "127.0.0.9", "localhost", "0.0.0.0", "::ffff:127.0.0.1"):
        attempt = await client.send(a_request(Origin("http", host, upstream.port)), yes)
        assert (attempt.failure, attempt.rule) == (Failure.EGRESS_DENIED, "own-port")
    assert upstream.connections == 0
    client.follow(AT_HOME)
    assert (await client.send(a_request(origin_of(upstream)), yes)).status == 201


@pytest.fixture
def own_address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way_out:
        try:
            way_out.connect(("192.0.2.1", 9))  # sends nothing; it only asks for the way
        except OSError:
            pytest.skip("this machine has no way out")
        return str(way_out.getsockname()[0])


async def test_an_address_of_this_machine_is_our_own(make_client: MakeClient, own_address: str) -> None:
    client = make_client()
    entries = tuple(map(parse_entry, ("**", own_address)))
    client.follow(EgressPolicy(allow=entries, private=True, own_ports=frozenset({8888})))

    attempt = await client.send(a_request(Origin("http", own_address, 8888)), yes)

    assert attempt.rule == "own-port"
    assert _is_here(own_address)
    assert not _is_here("192.0.2.1")
    assert not _is_here("2001:db8::1")
