"""``client_certificate``: a route says who the proxy is to its upstream."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from integration.proxy.conftest import Receipts, StartProxy
from integration.proxy.test_client_certificates import files, who
from onceproxy.core.attempts import Failure, WirePhase
from onceproxy.core.egress import EgressPolicy
from onceproxy.core.messages import Origin, Request
from onceproxy.core.probes import Probe, question
from onceproxy.core.routes import Route
from onceproxy.core.templates import Asked
from onceproxy.upstream.client import UpstreamClient, UpstreamSettings
from onceproxy.upstream.egress import Gate
from onceproxy.upstream.tls import ClientCertificate, UnknownCertificate, UpstreamTls
from raw_client import a_request, ask, post
from upstreams import Upstream

ROUTES: list[dict[str, Any]] = [
    {"name": name, "match": {"path": f"/{name}/**"}, "client_certificate": name} for name in ("one", "two")
]


@pytest.fixture
async def strict(upstream_ca: trustme.CA) -> AsyncIterator[Upstream]:
    """Answers those who have a certificate of its authority, with the name in it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    upstream_ca.configure_trust(context)
    upstream_ca.issue_cert("localhost").configure_cert(context)
    async with Upstream(tls=context, always=who) as upstream:
        yield upstream


@pytest.fixture
def entries(upstream_ca: trustme.CA, tmp_path: Path) -> list[dict[str, str]]:
    """Two certificates with names alone, and one that is for the host."""
    named = []
    for name in ("one", "two"):
        entry = files(tmp_path, upstream_ca.issue_cert(f"{name}.example"), name)
        del entry["host"]
        named.append(entry | {"name": name})
    return [files(tmp_path, upstream_ca.issue_cert("host.example"), "localhost"), *named]


async def test_each_route_is_somebody_else_on_its_own_connection(
    trusting: StartProxy, strict: Upstream, entries: list[dict[str, str]]
) -> None:
    proxy = await trusting(tls={"client_certificates": entries}, routes=ROUTES)

    seen = []
    for path in ("one/1", "two/1", "other/1", "one/2", "two/2", "other/2"):  # the later ones find idle ones
        reply = await post(proxy.url, f"{strict.url}/{path}", body=path.encode())
        seen.append(reply.body)
    # What is not guarded shows the same.
    reads = [a_request("GET", f"{strict.url}/{path}") for path in ("one/3", "two/3", "other/3")]
    upgrade = ("Connection: Upgrade", "Upgrade: websocket")
    reads += [a_request("GET", f"{strict.url}/{path}", *upgrade) for path in ("one/4", "two/4", "other/4")]
    seen += [(await ask(proxy.url, read)).body for read in reads]

    assert seen == [b"one.example", b"two.example", b"host.example"] * 4
    assert strict.connections == 3, "each certificate's connection was used again, for its own requests"


async def test_upgrade_tls_shows_it_too(
    trusting: StartProxy, strict: Upstream, entries: list[dict[str, str]]
) -> None:
    proxy = await trusting(tls={"client_certificates": entries}, routes=[ROUTES[0] | {"upgrade_tls": True}])

    assert (await post(proxy.url, f"http://localhost:{strict.port}/one/1")).body == b"one.example"


async def test_a_copy_as_somebody_else_gets_no_receipt(
    trusting: StartProxy, strict: Upstream, entries: list[dict[str, str]], receipts: Receipts
) -> None:
    route = {"name": "pay", "match": {"path": "/**"}}
    first = await trusting(
        tls={"client_certificates": entries}, routes=[route | {"client_certificate": "one"}]
    )
    assert (await post(first.url, f"{strict.url}/pay")).body == b"one.example"

    for changed in ({"client_certificate": "two"}, {}):
        proxy = await trusting(tls={"client_certificates": entries}, routes=[route | changed])
        assert (await post(proxy.url, f"{strict.url}/pay")).slug == "credential-mismatch"

    assert (strict.executions, await receipts()) == (1, ["completed"])


def test_a_probe_shows_the_certificate_of_its_request() -> None:
    asked = Route(client_certificate="one").sent_as(Request("POST", Origin("https", "a.example", 443), b"/"))
    probe = Probe("https://a.example/found", "$.id")

    assert question(probe, Asked(asked, "id")).client_certificate == "one"


async def test_a_name_that_came_by_a_reload_sends_nothing(
    strict: Upstream, entries: list[dict[str, str]]
) -> None:
    one = ClientCertificate(None, Path(entries[1]["cert"]), Path(entries[1]["key"]), name="one")
    tls, origin = UpstreamTls(None, [one]), Origin("https", "a.example", 443)

    with pytest.raises(UnknownCertificate, match="restart it"):
        tls.context_for("a.example", "two")

    assert len({tls.identity_for(origin, name) for name in (None, "one", "two")}) == 3
    client = UpstreamClient(UpstreamSettings(), tls, Gate(EgressPolicy(private=True)))
    there = Origin("https", "localhost", strict.port)
    attempt = await client.send(Request("POST", there, b"/", client_certificate="two"), lambda: True)
    await client.aclose()
    assert (attempt.phase, attempt.failure) == (WirePhase.CONNECTING, Failure.TLS_FAILED)
    assert strict.connections == 0
