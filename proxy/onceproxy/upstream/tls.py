"""TLS towards upstreams: verification is never off."""

from __future__ import annotations

import ssl
from pathlib import Path

import certifi


class BadRoots(Exception):
    """The file of further roots can't be used."""


def upstream_context(further_roots: Path | None = None) -> ssl.SSLContext:
    """Return a client context that trusts the system's and certifi's roots, and those of a PEM file.

    Raises:
        BadRoots: the file can't be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if further_roots is not None:
        try:
            context.load_verify_locations(further_roots)
        except OSError as error:  # ssl.SSLError is one: no certificate in it
            raise BadRoots(f"tls.upstream_ca: {further_roots}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
