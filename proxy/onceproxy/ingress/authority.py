"""The local certificate authority: made on first start, kept in the data directory.

Whoever has its key can read the traffic of everyone who trusts it. So the key is 0600 in a 0700 directory
from its first byte on, and one that others can read is refused. Its counterpart is ``leaves``, which signs.

Every change of the files is made under a lock, each file whole or not at all, in an order that lets the
next process finish what a killed one began.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onceproxy.ingress import files
from onceproxy.ingress.ca_files import AuthorityError, CaKey, read_certificates, read_key
from onceproxy.ingress.constraints import only_for
from onceproxy.ingress.files import PRIVATE, PUBLIC
from onceproxy.ingress.roots import certificates_in, pem, public_roots

__all__ = ["Authority", "AuthorityError", "key_usage"]

CA_LIFE = timedelta(days=3650)
SKEW = timedelta(hours=1)  # a client's clock may be that far behind
KEY_FILE, CERT_FILE, BUNDLE_FILE, LOCK_FILE = "ca-key.pem", "ca-cert.pem", "ca-bundle.pem", "lock"
CA_NAME = "onceproxy local CA"

_PEM = serialization.Encoding.PEM
_MEND = "mend tls.ca, or take it out, and a CA of this proxy's own is made"
_REMEDY = "`onceproxy ca new` makes a new authority (clients then have to trust the new one)"


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority with its key.

    ``chain`` is what stands between it and a root, the root included. ``supplied`` is the file it came in,
    where it was not made here.
    """

    directory: Path
    certificate: x509.Certificate
    key: CaKey
    chain: tuple[x509.Certificate, ...] = ()
    supplied: Path | None = None

    @property
    def certificate_file(self) -> Path:
        """The CA's certificate (PEM), without ours where it was made here."""
        return self.supplied or self.directory / CERT_FILE

    @property
    def bundle_file(self) -> Path:
        """The roots of the system and of certifi, and the CA's certificate (PEM)."""
        return self.directory / BUNDLE_FILE

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, in pairs of hex digits."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    @classmethod
    def load_or_create(cls, directory: Path) -> Authority:
        """Return the CA of ``directory``, making it where there is none. Several processes may do so at once.

        Raises:
            AuthorityError: it can't be read, has expired, or its key is open to others.
        """
        with _alone_in(directory):
            if (directory / KEY_FILE).exists() or (directory / CERT_FILE).exists():
                authority = _load(directory)
            else:
                authority = _create(directory)
            files.write_if_stale(authority.bundle_file, pem(_roots(authority)))
            return authority

    @classmethod
    def load_supplied(cls, directory: Path, cert: Path, key: Path, password: str | None) -> Authority:
        """Return a CA that was made elsewhere. ``directory`` is for the bundle. ``password`` is the key's.

        Raises:
            AuthorityError: it can't be used, or its key is open to others.
        """
        with _alone_in(directory):
            authority = _supplied(directory, cert, key, password)
            files.write_if_stale(authority.bundle_file, pem(_roots(authority)))
            return authority

    @classmethod
    def create_new(cls, directory: Path, names: tuple[str, ...] = ()) -> Authority:
        """Make a new CA; the former one's files are kept with ``.old`` at their end.

        ``names``: host names that it may sign for, those below them included; none: all.

        Raises:
            AuthorityError: the directory can't be written to.
        """
        with _alone_in(directory):
            for name, mode in ((KEY_FILE, PRIVATE), (CERT_FILE, PUBLIC)):
                file = directory / name
                if file.exists():
                    files.write(directory / f"{name}.old", file.read_bytes(), mode)
            authority = _create(directory, names)
            files.write_if_stale(authority.bundle_file, pem(_roots(authority)))
            return authority

    def bundle_with(self, *further: Path) -> Path:
        """Return a file of all roots of ``bundle_file`` and those in ``further`` files or directories.

        That is ``bundle_file`` itself where they add nothing, else a file beside it that is named for what
        is in it, so that programs that run side by side with different roots do not disturb one another.

        Raises:
            AuthorityError: the directory can't be written to.
        """
        roots = _roots(self)
        known = len(roots)
        # A bundle of ours from before `ca new` brings the former CA, which nobody should go on trusting.
        ours = CA_NAME.encode()
        roots.update((der, None) for file in further for der in certificates_in(file) if ours not in der)
        if len(roots) == known:
            return self.bundle_file
        bundle = pem(sorted(roots))
        file = self.directory / f"ca-bundle-{hashlib.sha256(bundle).hexdigest()[:16]}.pem"
        with _alone_in(self.directory):
            files.write_if_stale(file, bundle)
        return file


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    lock = -1
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        if directory.stat().st_mode & 0o022:
            raise AuthorityError(
                f"{directory}: others may write to it, and so put a CA of theirs there. `chmod 700` it, and "
                f"unless you know that nobody did: {_REMEDY}"
            )
        lock = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, PRIVATE)
        fcntl.flock(lock, fcntl.LOCK_EX)
        _finish_what_was_begun(directory)
        yield
    except OSError as error:
        raise AuthorityError(
            f"{error.filename or directory}: {error.strerror}; the local CA needs a directory of its own "
            "that can be written to: see --data-dir"
        ) from error
    finally:
        if lock >= 0:
            os.close(lock)


def _create(directory: Path, names: tuple[str, ...] = ()) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, names)
    key_pem = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_file, cert_file = directory / KEY_FILE, directory / CERT_FILE
    # A staged certificate without a staged key says: the key is in its place, put the certificate there too.
    files.partial_of(cert_file).unlink(missing_ok=True)
    files.stage(key_file, key_pem, PRIVATE)
    files.stage(cert_file, certificate.public_bytes(_PEM), PUBLIC)
    files.put_in_place(key_file)
    files.put_in_place(cert_file)
    return Authority(directory, certificate, key)


def _finish_what_was_begun(directory: Path) -> None:
    cert_file = directory / CERT_FILE
    if files.partial_of(cert_file).exists() and not files.partial_of(directory / KEY_FILE).exists():
        files.put_in_place(cert_file)


def _self_signed(key: ec.EllipticCurvePrivateKey, names: tuple[str, ...]) -> x509.Certificate:
    # Random, so that two of a machine's CAs are not taken for one another. A common name has 64 characters.
    common_name = f"{CA_NAME} {socket.gethostname()[:30]} {secrets.token_hex(3)}"
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "onceproxy"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(only_for(names), critical=True)
    return builder.sign(key, hashes.SHA256())


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Return what the key of a CA may be used for, or that of a server (RFC 5280, section 4.2.1.3)."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _load(directory: Path) -> Authority:
    key_file, cert_file = directory / KEY_FILE, directory / CERT_FILE
    try:
        key = read_key(key_file, None, _REMEDY)
        [certificate] = read_certificates(cert_file, _REMEDY)[:1]
    except FileNotFoundError as error:
        raise AuthorityError(f"{error.filename}: is missing; restore it, or {_REMEDY}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{key_file}: is no elliptic-curve key; {_REMEDY}")
    if key.public_key() != certificate.public_key():
        raise AuthorityError(f"{key_file}: does not belong to {CERT_FILE}; {_REMEDY}")
    return Authority(directory, certificate, key)


def _supplied(directory: Path, cert: Path, key_file: Path, password: str | None) -> Authority:
    key = read_key(key_file, password, _MEND)
    certificate, *chain = read_certificates(cert, _MEND)
    if key.public_key() != certificate.public_key():
        raise AuthorityError(f"{key_file}: does not belong to the first certificate of {cert}; {_MEND}")
    return Authority(directory, certificate, key, tuple(chain), cert)


def _roots(authority: Authority) -> dict[bytes, None]:
    """Return the roots of a bundle (DER), each once."""
    roots = dict.fromkeys(public_roots())
    for certificate in (authority.certificate, *authority.chain):
        roots[certificate.public_bytes(serialization.Encoding.DER)] = None
    return roots
