"""Upstreams that ask who the proxy is: a real TLS server that wants a certificate."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from integration.proxy.conftest import Receipts, StartProxy
from onceproxy.upstream.tls import BadTlsFile, ClientCertificate, UpstreamTls
from raw_client import post
from upstreams import Conversation, Door, Upstream, answer

YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)

OpenUpstream = Callable[[ssl.TLSVersion], Awaitable[Upstream]]


@pytest.fixture
async def strict(upstream_ca: trustme.CA) -> AsyncIterator[OpenUpstream]:
    """Opens upstreams that answer those only who have a certificate of their authority."""
    opened: list[Upstream] = []

    async def open_one(newest: ssl.TLSVersion) -> Upstream:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = newest
        upstream_ca.configure_trust(context)
        upstream_ca.issue_cert("localhost").configure_cert(context)
        opened.append(await Upstream(tls=context, always=who).__aenter__())
        return opened[-1]

    yield open_one
    for upstream in opened:
        await upstream.__aexit__(None, None, None)


async def who(talk: Conversation) -> None:
    """Answer with the name in the client's certificate."""
    certificate: Any = talk.writer.get_extra_info("peercert")
    await answer(200, certificate["subjectAltName"][0][1].encode())(talk)


def files(directory: Path, leaf: trustme.LeafCert, host: str, password: str | None = None) -> dict[str, str]:
    """Write a certificate and its key; return the entry of the configuration."""
    name = host.strip("*.")
    cert, key = directory / f"{name}.pem", directory / f"{name}-key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    content = leaf.private_key_pem.bytes()
    if password is not None:
        loaded = serialization.load_pem_private_key(content, None)
        how = serialization.BestAvailableEncryption(password.encode())
        content = loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    key.write_bytes(content)
    key.chmod(0o600)
    return {"host": host, "cert": str(cert), "key": str(key)}


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_upstream_sees_the_certificate_for_its_host(
    trusting: StartProxy,
    strict: OpenUpstream,
    upstream_ca: trustme.CA,
    tmp_path: Path,
    version: ssl.TLSVersion,
) -> None:
    upstream = await strict(version)
    other = files(tmp_path, upstream_ca.issue_cert("other.example"), "*.example")
    own = files(tmp_path, upstream_ca.issue_cert("proxy.example"), "local*")
    proxy = await trusting(tls={"client_certificates": [other, own]})

    first, again = [await post(proxy.url, f"{upstream.url}/pay") for _ in (1, 2)]

    assert (first.status, first.body, again.replayed) == (200, b"proxy.example", True)
    assert upstream.executions == 1


def telling(context: ssl.SSLContext) -> Door:
    """Shake hands as servers do that say why they won't: asyncio's do not send the alert."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                raise AssertionError("the client was let in")
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
            except ssl.SSLError:
                writer.write(outgoing.read())
                await writer.drain()
                await reader.read()
                return

    return behave


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shown", [False, True])
async def test_without_the_right_one_nothing_happened(
    trusting: StartProxy,
    upstream: Upstream,
    upstream_ca: trustme.CA,
    receipts: Receipts,
    tmp_path: Path,
    version: ssl.TLSVersion,
    shown: bool,
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.verify_mode = ssl.CERT_REQUIRED
    server.maximum_version = version
    upstream_ca.configure_trust(server)
    upstream_ca.issue_cert("localhost").configure_cert(server)
    upstream.at_the_door(telling(server))
    wrong = files(tmp_path, trustme.CA().issue_cert("proxy.example"), "localhost")
    proxy = await trusting(tls={"client_certificates": [wrong] if shown else []})

    reply = await post(proxy.url, f"https://localhost:{upstream.port}/pay")

    assert (reply.status, reply.slug) == (502, "upstream-unreachable")
    assert reply.told["state"] == "released"
    assert "tls.client_certificates" in reply.problem()["detail"] or (shown and version is not VERSIONS[1])
    assert reply.problem()["failure"] == "tls-failed"
    assert await receipts() == ["released"]
    assert upstream.requests == []


async def test_another_certificate_is_another_account(
    trusting: StartProxy, strict: OpenUpstream, upstream_ca: trustme.CA, tmp_path: Path
) -> None:
    upstream = await strict(ssl.TLSVersion.TLSv1_3)
    ours = files(
        tmp_path,
        upstream_ca.issue_cert("one.example", common_name="one", organization_unit_name="our unit"),
        "localhost",
    )
    proxy = await trusting(tls={"client_certificates": [ours]})
    assert (await post(proxy.url, f"{upstream.url}/pay")).body == b"one.example"

    files(
        tmp_path,
        upstream_ca.issue_cert("one.example", common_name="one", organization_unit_name="our unit"),
        "localhost",
    )
    renewed = await trusting(tls={"client_certificates": [ours]})
    assert (await post(renewed.url, f"{upstream.url}/pay")).replayed

    files(
        tmp_path,
        upstream_ca.issue_cert("two.example", common_name="two", organization_unit_name="our unit"),
        "localhost",
    )
    changed = await trusting(tls={"client_certificates": [ours]})
    assert (await post(changed.url, f"{upstream.url}/pay")).slug == "credential-mismatch"
    assert upstream.executions == 1


async def test_the_password_comes_from_the_environment(
    trusting: StartProxy,
    strict: OpenUpstream,
    upstream_ca: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upstream = await strict(ssl.TLSVersion.TLSv1_3)
    entry = files(tmp_path, upstream_ca.issue_cert("proxy.example"), "localhost", "hunter2")
    with pytest.raises(BadTlsFile, match=r"tls\.client_certificates\[0\]: .*password is wrong.*password_env"):
        await trusting(tls={"client_certificates": [entry]})
    entry["password_env"] = "CLIENT_KEY_PASSWORD"
    with pytest.raises(BadTlsFile, match="the environment has no CLIENT_KEY_PASSWORD"):
        await trusting(tls={"client_certificates": [entry]})
    monkeypatch.setenv("CLIENT_KEY_PASSWORD", "hunter2")

    proxy = await trusting(tls={"client_certificates": [entry]})

    assert (await post(proxy.url, f"{upstream.url}/pay")).body == b"proxy.example"


def test_files_that_can_not_be_used(upstream_ca: trustme.CA, tmp_path: Path) -> None:
    leaf = upstream_ca.issue_cert("proxy.example")
    good = files(tmp_path, leaf, "good.example")
    other = files(tmp_path, upstream_ca.issue_cert("proxy.example"), "other.example")
    old = files(tmp_path, upstream_ca.issue_cert("old.example", not_after=YESTERDAY), "old.example")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nothing")
    garbage.chmod(0o600)
    opened = tmp_path / "open.pem"
    opened.write_bytes(leaf.private_key_pem.bytes())
    opened.chmod(0o644)
    for cert, key, words in (
        (good["cert"], other["key"], "does not belong to the certificate"),
        (good["cert"], str(garbage), "no certificate and key in PEM"),
        (str(garbage), good["key"], "no certificate and key in PEM"),
        (good["cert"], str(opened), "everyone may read it"),
        (old["cert"], old["key"], "expired on"),
        (str(tmp_path / "none"), good["key"], "No such file"),
    ):
        with pytest.raises(BadTlsFile, match=words):
            UpstreamTls(None, [ClientCertificate("*", Path(cert), Path(key))])
