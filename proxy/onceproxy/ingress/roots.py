"""The roots that a program trusts anyway: those of the system and of certifi, and how PEM files are read.

Certificates are not parsed: among a system's roots there are old ones that a strict parser refuses.
"""

from __future__ import annotations

import binascii
import re
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path

import certifi

# Debian, Fedora, SUSE, and Alpine, macOS and the BSDs. Not `ssl.get_default_verify_paths`: it follows
# SSL_CERT_FILE, and what is not set in the environment it guesses from how Python was built.
SYSTEM_ROOTS = tuple(
    Path(path)
    for path in (
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    )
)

_PEM_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----")


def public_roots() -> Iterator[bytes]:
    """Yield the system's and certifi's roots (DER); many come twice."""
    for file in (*SYSTEM_ROOTS, Path(certifi.where())):
        yield from certificates_in(file)


def certificates_in(path: Path) -> Iterator[bytes]:
    """Yield the certificates (DER) of a PEM file, or of all files of a directory.

    What can't be read is passed over: it would be no use to the program that was pointed to it, either.
    """
    try:
        if path.is_dir():
            contents = [file.read_bytes() for file in sorted(path.iterdir()) if file.is_file()]
        else:
            contents = [path.read_bytes()]
    except OSError:
        return
    for content in contents:
        for block in _PEM_BLOCK.finditer(content):
            try:
                yield binascii.a2b_base64(block[1])
            except binascii.Error:
                continue


def pem(certificates: Iterable[bytes]) -> bytes:
    """Return certificates (DER) as one PEM text."""
    return "".join(map(ssl.DER_cert_to_PEM_cert, certificates)).encode("ascii")
