"""Reading the files of a certificate authority, ours or a company's, and refusing those that are no use."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CaKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class AuthorityError(Exception):
    """The local CA can't be used; the text names the file and the remedy."""


def read_key(file: Path, password: str | None, remedy: str) -> CaKey:
    """Read a CA's key, which nobody but its owner may. ``remedy`` ends what is said of one that is no use.

    Raises:
        AuthorityError: it can't be used.
        FileNotFoundError: there is none.
    """
    with file.open("rb") as opened:
        mode = os.fstat(opened.fileno()).st_mode & 0o777
        content = opened.read()
    if mode & 0o077:
        raise AuthorityError(
            f"{file}: others may read it (mode {mode:o}). If nobody did, `chmod 600` it; else {remedy}"
        )
    try:
        key = serialization.load_pem_private_key(content, password.encode() if password else None)
    except TypeError:
        if password is not None:
            raise AuthorityError(f"{file}: has no password, and one is given; {remedy}") from None
        raise AuthorityError(f"{file}: has a passphrase, which nobody is there to type; {remedy}") from None
    except (ValueError, UnsupportedAlgorithm):
        what = "its password is wrong, or it is damaged" if password else "is damaged"
        raise AuthorityError(f"{file}: {what}; {remedy}") from None
    if not isinstance(key, CaKey):
        raise AuthorityError(f"{file}: is no elliptic-curve key and no RSA key; {remedy}")
    return key


def read_certificates(file: Path, remedy: str) -> list[x509.Certificate]:
    """Read a CA's certificate, and what follows behind it.

    Raises:
        AuthorityError: one of them can't be used.
        FileNotFoundError: there are none.
    """
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
        signs = all(map(_signs_certificates, found))
        found[0].extensions.get_extension_for_class(x509.SubjectKeyIdentifier)  # leaves refer to it
    except ValueError:
        raise AuthorityError(f"{file}: is damaged; {remedy}") from None
    except x509.ExtensionNotFound:
        signs = False
    if not signs:
        raise AuthorityError(f"{file}: is no certificate of a CA; {remedy}")
    for certificate in found:
        if certificate.not_valid_after_utc < datetime.now(UTC):
            raise AuthorityError(f"{file}: expired on {certificate.not_valid_after_utc:%Y-%m-%d}; {remedy}")
    return found


def _signs_certificates(certificate: x509.Certificate) -> bool:
    if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        return False
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True  # it may be used for anything then (RFC 5280, section 4.2.1.3)
    return usage.key_cert_sign
