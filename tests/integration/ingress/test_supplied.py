"""A CA that was made elsewhere, and one that may sign for some hosts only."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from onceproxy.ingress.authority import Authority, AuthorityError
from onceproxy.ingress.constraints import names_of, permits
from onceproxy.ingress.leaves import LeafCerts


def written(directory: Path, authority: trustme.CA, *chain: trustme.CA) -> tuple[Path, Path]:
    """Write a CA's certificate, those above it, and its key."""
    cert, key = directory / "corp.pem", directory / "corp-key.pem"
    cert.write_bytes(b"".join(one.cert_pem.bytes() for one in (authority, *chain)))
    key.write_bytes(authority.private_key_pem.bytes())
    key.chmod(0o600)
    return cert, key


def agreed(leaves: LeafCerts, host: str, roots: ssl.SSLContext) -> Any:
    """Shake hands in memory; return the certificate that the client saw and verified."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = roots.wrap_bio(to_client, to_server, server_hostname=host)
    server = leaves.context_for(host).wrap_bio(to_server, to_client, server_side=True)
    left = [client, server]
    for _ in range(10):
        for side in list(left):
            try:
                side.do_handshake()
                left.remove(side)
            except ssl.SSLWantReadError:
                pass
    assert not left
    return client.getpeercert()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("key_type", list(trustme.KeyType))
def test_leaves_of_a_supplied_ca_are_trusted_by_who_trusts_its_root(
    tmp_path: Path, key_type: trustme.KeyType
) -> None:
    root = trustme.CA(key_type=key_type)
    between = root.create_child_ca(key_type=key_type)
    cert, key = written(tmp_path, between, root)

    authority = Authority.load_supplied(tmp_path / "ca", cert, key, None)
    found = agreed(LeafCerts(authority), "shop.example", trusting(root))

    assert found["subjectAltName"] == (("DNS", "shop.example"),)
    assert authority.certificate_file == cert
    bundle = authority.bundle_file.read_bytes()
    assert all(one.cert_pem.bytes().strip() in bundle for one in (between, root))


def test_its_key_may_have_a_password(tmp_path: Path) -> None:
    cert, key = written(tmp_path, trustme.CA())
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    how = serialization.BestAvailableEncryption(b"hunter2")
    key.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how))

    assert Authority.load_supplied(tmp_path / "ca", cert, key, "hunter2")
    with pytest.raises(AuthorityError, match=r"password is wrong.*tls\.ca"):
        Authority.load_supplied(tmp_path / "ca", cert, key, "hunter3")
    with pytest.raises(AuthorityError, match=r"has a passphrase.*tls\.ca"):
        Authority.load_supplied(tmp_path / "ca", cert, key, None)


def no_ca(directory: Path) -> None:
    leaf = trustme.CA().issue_cert("shop.example")
    (directory / "corp.pem").write_bytes(leaf.cert_chain_pems[0].bytes())


def another_key(directory: Path) -> None:
    (directory / "corp-key.pem").write_bytes(trustme.CA().private_key_pem.bytes())


def open_to(mode: int) -> Callable[[Path], None]:
    return lambda directory: (directory / "corp-key.pem").chmod(mode)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_ca, "corp.pem: is no certificate of a CA"),
        (another_key, "corp-key.pem: does not belong to"),
        (open_to(0o640), r"others may read it \(mode 640\)"),
        (open_to(0o604), r"others may read it \(mode 604\)"),
        (lambda directory: (directory / "corp.pem").write_text("nothing"), "corp.pem: is damaged"),
        (lambda directory: (directory / "corp-key.pem").write_text("nothing"), "corp-key.pem: is damaged"),
    ],
)
def test_what_is_no_use_is_refused(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    cert, key = written(tmp_path, trustme.CA())
    spoil(tmp_path)

    with pytest.raises(AuthorityError, match=words):
        Authority.load_supplied(tmp_path / "ca", cert, key, None)


def test_a_ca_for_some_hosts_signs_for_no_others(tmp_path: Path) -> None:
    authority = Authority.create_new(tmp_path / "ca", ("api.example", "shop.example"))
    leaves = LeafCerts(authority)
    roots = ssl.create_default_context(cafile=str(authority.certificate_file))

    assert names_of(authority.certificate) == ["api.example", "shop.example"]
    for host in ("api.example", "a.api.example", "SHOP.example."):
        assert agreed(leaves, host.lower().removesuffix("."), roots)
    for host in ("example", "xapi.example", "other.example", "127.0.0.1", "::1"):
        with pytest.raises(ValueError, match=r"may not sign for .*tls\.passthrough"):
            leaves.context_for(host)


def test_clients_hold_it_to_its_hosts(tmp_path: Path) -> None:
    authority = Authority.create_new(tmp_path / "ca", ("api.example",))
    leaves = LeafCerts(authority)
    roots = ssl.create_default_context(cafile=str(authority.certificate_file))
    stolen = LeafCerts.__new__(LeafCerts)  # what a thief of the key would sign
    stolen.__dict__.update(leaves.__dict__)
    name = x509.DNSName("bank.example")
    now = datetime.datetime.now(datetime.UTC)
    certificate = leaves._certificate(name, now, now + datetime.timedelta(days=1))
    stolen.context_for = lambda host: leaves._context(certificate)  # type: ignore[method-assign]

    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        agreed(stolen, "bank.example", roots)


def test_a_ca_without_constraints_signs_for_all(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path / "ca")

    assert names_of(authority.certificate) == []
    assert permits([authority.certificate], x509.DNSName("any.example"))
