"""A database that is reached over a network that nobody trusts: by its certificate, or not at all.

The embedded server can do no TLS, so what speaks it here stands before that, as a pooler or a cloud's
gateway does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

from listening import Listening, calling
from onceproxy.core.receipts import Claim
from onceproxy.store.errors import DatabaseUnreachable
from onceproxy.store.postgres import PostgresStore
from stores import an_action, completed

SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")  # "Message Formats" in Postgres's docs
PIECE = 65536


class Gateway:
    """Takes TLS off before a server. ``offers``: whether it does TLS at all."""

    def __init__(self, url: str, certificate: trustme.LeafCert) -> None:
        parts = urlsplit(url)
        self._target = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(self._context)
        self.offers = True
        self.in_clear = 0  # messages of clients that were not under TLS
        self.under_tls = 0  # connections
        self.listening = Listening(self._talk)
        self.path = f"{parts.username}@{{}}{parts.path}"

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (first := await reader.readexactly(8)) == SSL_REQUEST:
            writer.write(b"S" if self.offers else b"N")
            if self.offers:
                try:
                    await writer.start_tls(self._context)
                except ssl.SSLError:
                    return  # the client does not take the certificate
                self.under_tls += 1
                first = b""
                break
        else:
            self.in_clear += 1
        async with calling(self._target) as (answers, questions):
            questions.write(first)
            passing = {
                asyncio.ensure_future(_pass_on(*way)) for way in ((reader, questions), (answers, writer))
            }
            try:
                await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in passing:
                    one.cancel()
                await asyncio.gather(*passing, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def gateway(database_url: str, authority: trustme.CA) -> AsyncIterator[Gateway]:
    """One whose certificate is for 127.0.0.1."""
    gateway = Gateway(database_url, authority.issue_cert("127.0.0.1"))
    try:
        yield gateway
    finally:
        await gateway.listening.end()


async def _url(gateway: Gateway, directory: Path, authority: trustme.CA, host: str = "127.0.0.1") -> str:
    roots = directory / "roots.pem"
    authority.cert_pem.write_to_path(str(roots))
    port = await gateway.listening.on_port()
    return f"postgresql://{gateway.path.format(f'{host}:{port}')}?sslmode=verify-full&sslrootcert={roots}"


async def test_a_database_that_shows_its_certificate(
    gateway: Gateway, authority: trustme.CA, tmp_path: Path
) -> None:
    url = await _url(gateway, tmp_path, authority)
    async with await PostgresStore.open(url, pool_size=2) as store:
        claim = await store.claim(an_action())
        assert isinstance(claim, Claim)
        await store.settle(claim, completed())

    assert gateway.under_tls > 0
    assert gateway.in_clear == 0


@pytest.mark.parametrize("wrong", ["authority", "name", "no TLS"])
async def test_any_other_is_not_spoken_to(
    gateway: Gateway, authority: trustme.CA, tmp_path: Path, wrong: str
) -> None:
    gateway.offers = wrong != "no TLS"
    trusted = trustme.CA() if wrong == "authority" else authority
    host = "localhost" if wrong == "name" else "127.0.0.1"
    url = await _url(gateway, tmp_path, trusted, host)

    with pytest.raises(DatabaseUnreachable):
        await PostgresStore.open(url, pool_size=2, connect_timeout=0.3)

    assert (gateway.under_tls, gateway.in_clear) == (0, 0)
