"""Certificates made on demand, as a client sees them: over real sockets, with a client's own verification."""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from onceproxy.core.limits import Limit, OverLimit
from onceproxy.ingress.authority import Authority
from onceproxy.ingress.leaves import LeafCerts


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.load_or_create(tmp_path_factory.mktemp("data") / "ca")


@pytest.fixture
def client(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # what Python 3.13 does by default
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client learnt."""

    version: str | None
    protocol: str | None
    leaf: x509.Certificate


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None) -> Handshake:
    """Shake hands over real sockets; raise what the client raises."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            accepted, _ = listening.accept()
            with accepted:
                try:
                    with server.wrap_socket(accepted, server_side=True) as secure:
                        secure.recv(1)
                except OSError:
                    pass  # the client did not like it, and says so

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listening.getsockname(), timeout=10) as plain,
                client.wrap_socket(plain, server_hostname=name) as secure,
            ):
                leaf = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
                return Handshake(secure.version(), secure.selected_alpn_protocol(), leaf)
        finally:
            thread.join()


@pytest.mark.parametrize(
    "host",
    [
        "api.stripe.com",
        "localhost",
        "with_underscore.example",
        "127.0.0.1",
        "::1",
        "2001:db8::1",
        "a" * 63 + "." + "b" * 63 + "." + "c" * 63 + ".example",
    ],
)
def test_a_client_that_trusts_the_ca_trusts_the_leaf(
    authority: Authority, client: ssl.SSLContext, host: str
) -> None:
    done = shake_hands(LeafCerts(authority).context_for(host), client, host)
    assert (done.version, done.protocol) == ("TLSv1.3", "http/1.1")


def test_a_leaf_is_for_its_host_alone(authority: Authority, client: ssl.SSLContext) -> None:
    server = LeafCerts(authority).context_for("api.example.com")
    for other in ("example.com", "b.api.example.com"):
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            shake_hands(server, client, other)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client, "127.0.0.1")  # whose clients name no host in their hello


@pytest.mark.parametrize("asked", ["API.Example.com", None])
def test_a_hello_names_the_host_or_none(
    authority: Authority, client: ssl.SSLContext, asked: str | None
) -> None:
    client.check_hostname = False
    server = LeafCerts(authority).context_for("api.example.com")

    assert shake_hands(server, client, asked).protocol == "http/1.1"


def test_a_client_that_does_not_trust_the_ca_refuses(authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(LeafCerts(authority).context_for("a.example"), ssl.create_default_context(), "a.example")


def test_an_old_protocol_is_refused(authority: Authority) -> None:
    assert LeafCerts(authority).context_for("a.example").minimum_version is ssl.TLSVersion.TLSv1_2


def test_tls_1_2_is_served(authority: Authority, client: ssl.SSLContext) -> None:
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    done = shake_hands(LeafCerts(authority).context_for("a.example"), client, "a.example")
    assert done.version == "TLSv1.2"


def test_what_a_leaf_says(authority: Authority, client: ssl.SSLContext) -> None:
    leaf = shake_hands(LeafCerts(authority).context_for("api.example.com"), client, "api.example.com").leaf
    extensions = leaf.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName("api.example.com")]
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    issuer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    key_identifier = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert key_identifier == issuer.digest
    now = datetime.now(UTC)
    assert timedelta(minutes=59) < now - leaf.not_valid_before_utc < timedelta(minutes=61)
    assert timedelta(days=5, hours=23) < leaf.not_valid_after_utc - now <= timedelta(days=6)
    leaf.verify_directly_issued_by(authority.certificate)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)  # a handshake with RSA costs several times as much


def test_the_common_name_is_never_cut(authority: Authority, client: ssl.SSLContext) -> None:
    host = "www.bank.example." + "x" * 50 + ".evil.example"
    leaf = shake_hands(LeafCerts(authority).context_for(host), client, host).leaf
    assert not leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)


@pytest.mark.parametrize(
    ("host", "same"),
    [
        ("API.Example.com", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ],
)
def test_one_host_has_one_context(authority: Authority, host: str, same: str) -> None:
    leaves = LeafCerts(authority)
    assert leaves.context_for(host) is leaves.context_for(same)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "*.example.com",
        "a..b",
        ".a",
        "a b",
        "-a.example",
        "a-.example",
        "a.example/",
        "a.example\n",
        "user@a.example",
        "[::1]",
        "fe80::1%eth0",
        "a" * 64 + ".example",
        ".".join(["a" * 49] * 6),
        "127.1",
        "0x7f.0x1",
        "1.2.3.4.5",
        "ü" * 64 + ".example",
        "a\x00.example",
    ],
)
def test_what_is_no_host_gets_no_certificate(authority: Authority, host: str) -> None:
    leaves = LeafCerts(authority)
    with pytest.raises(ValueError):
        leaves.context_for(host)
    assert len(leaves) == 0


def test_a_flood_of_names_does_not_fill_the_memory(authority: Authority) -> None:
    leaves = LeafCerts(authority, max_entries=3)
    first = leaves.context_for("h0.example")
    others = [leaves.context_for(f"h{i}.example") for i in range(1, 3)]
    assert leaves.context_for("h0.example") is first  # used last: h1 is the oldest now
    leaves.context_for("h3.example")
    assert len(leaves) == 3
    assert leaves.context_for("h0.example") is first
    assert leaves.context_for("h2.example") is others[1]
    assert leaves.context_for("h1.example") is not others[0]


def test_only_so_many_are_made_in_a_minute(authority: Authority) -> None:
    now, hits = [datetime.now(UTC)], list[Limit]()
    leaves = LeafCerts(authority, per_minute=2, hit=hits.append, clock=lambda: now[0])
    first = leaves.context_for("h0.example")
    leaves.context_for("h1.example")
    with pytest.raises(OverLimit):
        leaves.context_for("h2.example")
    assert leaves.context_for("h0.example") is first, "one that is known costs nothing"
    now[0] += timedelta(seconds=29)
    with pytest.raises(OverLimit):
        leaves.context_for("h2.example")
    now[0] += timedelta(seconds=2)
    leaves.context_for("h2.example")
    assert (len(leaves), hits) == (3, [Limit.CERTIFICATES_PER_MINUTE] * 2)


def test_a_leaf_is_renewed_when_less_than_a_day_is_left(authority: Authority) -> None:
    start = datetime.now(UTC)
    now = [start]
    leaves = LeafCerts(authority, clock=lambda: now[0])
    first = leaves.context_for("a.example")
    now[0] = start + timedelta(days=5) - timedelta(seconds=1)
    assert leaves.context_for("a.example") is first
    now[0] = start + timedelta(days=5)
    assert leaves.context_for("a.example") is not first
    assert len(leaves) == 1


def test_a_leaf_does_not_outlive_its_ca(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    end = authority.certificate.not_valid_after_utc
    made: list[x509.Certificate] = []
    leaves = LeafCerts(authority, clock=lambda: end - timedelta(hours=2))
    make = leaves._certificate

    def keep(*args: Any) -> x509.Certificate:
        made.append(make(*args))
        return made[-1]

    monkeypatch.setattr(leaves, "_certificate", keep)
    context = leaves.context_for("a.example")
    assert made[0].not_valid_after_utc == end
    assert leaves.context_for("a.example") is context  # a new one would be no better


def test_threads_share_one_certificate(authority: Authority) -> None:
    leaves = LeafCerts(authority)
    start = threading.Barrier(8)
    found: list[ssl.SSLContext] = []

    def ask() -> None:
        start.wait()
        found.append(leaves.context_for("a.example"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(context) for context in found}) == 1


def test_where_there_is_no_memory_file_none_is_left_on_disk(
    authority: Authority, client: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shake_hands(LeafCerts(authority).context_for("a.example"), client, "a.example")
    assert not list(tmp_path.iterdir())
